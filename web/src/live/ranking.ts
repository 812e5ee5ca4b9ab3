// Countries in order, for one product or all of them, by what is measured.

import { countOf, type Measure, type Span, valueOf, type What } from '../measure.ts'
import type { Count, Counts } from './messages.ts'
import type { LiveState } from './state.ts'

/** The code of pings from an address that no registry knows. */
const UNKNOWN = 'ZZ'
/** All products together. */
export const ALL = ''

export type Populations = Readonly<Record<string, number>>

/** `value` is what is measured; null: fewer than a guest is told. */
export interface Ranked { readonly country: string; readonly counts: Counts; readonly value: Count; readonly rank: number }

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
 * Countries by what is measured, the most first; equal ones in the order of their codes, so that none jumps. Those with
 * too few to be told come behind, and what comes from nowhere known last; both without a rank (0).
 */
export function ranking(counts: ReadonlyMap<string, Counts>, measure: Measure, populations: Populations): Ranked[] {
  const rows = [...counts].flatMap(([country, row]) => {
    const value = valueOf(row, populations[country], measure)
    return value === undefined || value === 0 ? [] : [{ country, counts: row, value }]
  })
  const group = ({ country, value }: { country: string; value: Count }): number => (country === UNKNOWN ? 2 : value === null ? 1 : 0)
  return rows
    .sort((a, b) => group(a) - group(b) || (b.value ?? 0) - (a.value ?? 0) || (a.country < b.country ? -1 : 1))
    .map((row, place) => ({ ...row, rank: group(row) === 0 ? place + 1 : 0 }))
}

/** The sum over all countries of what is told. */
export interface Total { readonly sum: number; /** Whether there is more than is told. */ readonly more: boolean }

export function total(counts: ReadonlyMap<string, Counts>, what: What, span: Span): Total {
  let [sum, more] = [0, false]
  for (const row of counts.values()) {
    const count = countOf(row, what, span)
    sum += count ?? 0
    more ||= count === null
  }
  return { sum, more }
}

function plus(a: Counts | undefined, b: Counts): Counts {
  if (a === undefined) return b
  const sum = (place: 0 | 1 | 2 | 3 | 4 | 5): Count => (a[place] === null ? b[place] : a[place] + (b[place] ?? 0))
  return [sum(0), sum(1), sum(2), sum(3), sum(4), sum(5)]
}
