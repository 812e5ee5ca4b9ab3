// What the address says is looked at: which days, narrowed down to what, and how it is shown.

import type { Params } from '../shell/api.ts'
import type { Dimension, Measure, Window } from './model.ts'

export type Preset = '7' | '30' | '90' | '365'

export const PRESETS: readonly (readonly [Preset, string])[] = [
  ['7', '7 days'], ['30', '30 days'], ['90', '90 days'], ['365', '12 months'],
]
export const FILTERS = ['version', 'country', 'os', 'license', 'customer'] as const
export const WINDOWS: readonly (readonly [Window, string])[] = [['day', 'Day'], ['week', '7 days'], ['month', '30 days']]
export const MEASURES: readonly (readonly [Measure, string])[] = [['installs', 'Active installs'], ['users', 'Users'], ['launches', 'Launches']]

export type Filter = (typeof FILTERS)[number]

/** Some days: the last so many, or from one to another. */
export type Span = { readonly preset: Preset } | { readonly from: string; readonly to: string }

const DAY_MS = 86_400_000
const DAY = /^\d{4}-\d{2}-\d{2}$/

/** The days that an address asks for; the last 30 unless it says. */
export function spanOf(query: URLSearchParams): Span {
  const [from, to] = [query.get('from') ?? '', query.get('to') ?? '']
  if (DAY.test(from) && DAY.test(to)) return { from, to }
  return { preset: PRESETS.map(([preset]) => preset).find((preset) => preset === query.get('range')) ?? '30' }
}

/** What of an address stands for a span; what is usual isn't said. */
export function paramsOf(span: Span): Readonly<Record<'range' | 'from' | 'to', string | null>> {
  if ('from' in span) return { range: null, from: span.from, to: span.to }
  return { range: span.preset === '30' ? null : span.preset, from: null, to: null }
}

/** The first and last day to ask for. `last`: tells the last day that is counted, where that must be known. */
export async function daysOf(span: Span, last: () => Promise<string>): Promise<Params> {
  if ('from' in span) return { from: span.from, to: span.to }
  if (span.preset === '30') return {}
  const to = await last()
  return { from: daysBefore(to, Number(span.preset) - 1), to }
}

/** The day so many days before another. */
export const daysBefore = (day: string, count: number): string =>
  new Date(Date.parse(`${day}T00:00:00Z`) - count * DAY_MS).toISOString().slice(0, 10)

/** What is narrowed down to. */
export function filtersOf(query: URLSearchParams): Partial<Record<Filter, string>> {
  const found: Partial<Record<Filter, string>> = {}
  for (const name of FILTERS) {
    const value = query.get(name)
    if (value !== null && value !== '') found[name] = value
  }
  return found
}

/**
 * Whether counts with these filters are told apart by a dimension. Summaries have them by two of version, country and system,
 * and by builds; those of a license are counted one by one, hence by all.
 */
export function isCountedBy(filters: Partial<Record<Filter, string>>, by?: Dimension): boolean {
  if (filters.license !== undefined || filters.customer !== undefined) return true
  const apart = new Set<string>((['version', 'country', 'os'] as const).filter((name) => filters[name] !== undefined))
  if (by === 'build') return !apart.has('country') && !apart.has('os')
  if (by !== undefined) apart.add(by)
  return apart.size <= 2
}

/** Whether only these filters are set, if any: what happens to installs is counted apart by nothing else. */
export const isOnly = (filters: Partial<Record<Filter, string>>, ...names: readonly Filter[]): boolean =>
  FILTERS.every((name) => filters[name] === undefined || names.includes(name))

/** One of some values that the address may say, else the usual one. */
export const oneOf = <T extends string>(said: string | null, values: readonly (readonly [T, string])[], usual: T): T =>
  values.map(([value]) => value).find((value) => value === said) ?? usual

/** The key of the product that a path is about. */
export function keyOf(path: string): string {
  const last = path.replace(/\/+$/, '').split('/').at(-1) ?? ''
  try {
    return decodeURIComponent(last)
  } catch {
    return last
  }
}
