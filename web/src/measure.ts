// What is counted and shown: of installs, users or launches, today or in the last 30 days, as it is or by inhabitants.

import type { Count, Counts } from './live/messages.ts'

export const WHATS = ['installs', 'users', 'launches'] as const
export const SPANS = ['30d', 'today'] as const
export type What = (typeof WHATS)[number]
export type Span = (typeof SPANS)[number]

export interface Measure { readonly what: What; readonly span: Span; readonly perMillion: boolean }

export const USUAL: Measure = { what: 'installs', span: '30d', perMillion: false }

// Of a country with fewer people, one install more or less would move it to the top or away from it.
export const LEAST_INHABITANTS = 100_000

/** Its count, of the six that are told of a country. */
export function countOf(counts: Counts, what: What, span: Span): Count {
  return counts[WHATS.indexOf(what) + (span === 'today' ? 0 : 3)] ?? null
}

/** Its value in a country with so many inhabitants; null: fewer than a guest is told; undefined: it has none. */
export function valueOf(counts: Counts, inhabitants: number | undefined, measure: Measure): Count | undefined {
  const count = countOf(counts, measure.what, measure.span)
  if (!measure.perMillion) return count
  if (inhabitants === undefined || inhabitants < LEAST_INHABITANTS) return undefined
  return count === null ? null : (count / inhabitants) * 1e6
}
