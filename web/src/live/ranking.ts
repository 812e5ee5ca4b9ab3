// Countries in order, for one product or all of them.

import { type Counts, INSTALLS } from './messages.ts'
import type { LiveState } from './state.ts'

/** The code of pings from an address that no registry knows. */
const UNKNOWN = 'ZZ'
/** All products together. */
export const ALL = ''

export interface Ranked { readonly country: string; readonly counts: Counts; readonly rank: number }

/** Counts by country of a product, or summed over all products. */
export function countsOf(state: LiveState, product: string): ReadonlyMap<string, Counts> {
  if (product !== ALL) return state.countries.get(product) ?? new Map()
  const sums = new Map<string, Counts>()
  for (const table of state.countries.values()) {
    for (const [country, counts] of table) sums.set(country, plus(sums.get(country), counts))
  }
  return sums
}

/**
 * Countries by active installs, the most first; equal ones in the order of their codes, so that none jumps. What comes
 * from nowhere known stands last, without a rank (0).
 */
export function ranking(counts: ReadonlyMap<string, Counts>): Ranked[] {
  return [...counts]
    .filter(([, row]) => row[INSTALLS] > 0)
    .sort(([a, x], [b, y]) => Number(a === UNKNOWN) - Number(b === UNKNOWN) || y[INSTALLS] - x[INSTALLS] || (a < b ? -1 : 1))
    .map(([country, row], place) => ({ country, counts: row, rank: country === UNKNOWN ? 0 : place + 1 }))
}

/** The sum over all countries. */
export function total(counts: ReadonlyMap<string, Counts>): Counts {
  let sum: Counts = [0, 0, 0, 0, 0, 0]
  for (const row of counts.values()) sum = plus(sum, row)
  return sum
}

function plus(a: Counts | undefined, b: Counts): Counts {
  if (a === undefined) return b
  return [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4], a[5] + b[5]]
}
