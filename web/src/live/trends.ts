// What the statistics API knows of a country beyond the live counters: the last 30 days, and its versions. Asked for
// when somebody looks at it, and kept for a while.

import type { What } from '../measure.ts'
import type { Build } from './state.ts'

export interface Trend {
  /** Of how much time each count is: of a week where that can be, since weekends would be all that one sees. */
  readonly window: 'week' | 'day'
  /** A count as of each day, the last one last; null where it was not counted. */
  readonly days: readonly (number | null)[]
  readonly versions: readonly Build[]
}

// Days are counted once a night, versions move slowly, and a tour comes by every minute or two.
const KEPT_MS = 10 * 60_000
// What went wrong, a restart of the server or its database, is over by then.
const AGAIN_MS = 60_000
// A tour of 20 products has 100 stops; what was asked for longest ago gives way.
const MOST = 200
const VERSIONS = 3

interface Entry { until: number; trend: Trend | null }
interface Series { readonly total: readonly (number | null)[] }
interface Breakdown { readonly rows: readonly { readonly value: string; readonly build?: string; readonly installs: number }[] }

/** Gets the JSON at a path beside the page; anything that goes wrong rejects. */
export type Get = (path: string) => Promise<unknown>

export class Trends {
  private readonly entries = new Map<string, Entry>()
  private readonly get: Get
  private readonly arrived: () => void

  /** `arrived` is called when something that was asked for is there. */
  constructor(get: Get, arrived: () => void) {
    this.get = get
    this.arrived = arrived
  }

  /** What is known at time `ms`; null: nothing yet, and it is asked for. */
  of(product: string, country: string, what: What, ms: number): Trend | null {
    const key = JSON.stringify([product, country, what])
    const found = this.entries.get(key)
    if (found !== undefined && ms < found.until) return found.trend
    const entry: Entry = { until: ms + KEPT_MS, trend: found?.trend ?? null }
    this.entries.delete(key)
    this.entries.set(key, entry)
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= MOST) break
      this.entries.delete(oldest)
    }
    void this.ask(entry, product, country, what)
    return entry.trend
  }

  private async ask(entry: Entry, product: string, country: string, what: What): Promise<void> {
    const path = (name: string, query: Readonly<Record<string, string>>): string =>
      `api/v1/statistics/${encodeURIComponent(product)}/${name}?${new URLSearchParams({ country, ...query })}`
    const window = what === 'launches' ? 'day' : 'week'
    try {
      const [series, breakdown] = (await Promise.all([
        this.get(path('series', { measure: what, window })),
        this.get(path('breakdown', { by: 'version', window: 'month', limit: String(VERSIONS) })),
      ])) as [Series, Breakdown]
      const versions = breakdown.rows.map(({ value, build, installs }) => ({ version: value, build: build ?? '', installs }))
      entry.trend = { window, days: series.total, versions }
      // Not counted yet, where pings have only just begun.
      if (versions.length === 0) entry.until += AGAIN_MS - KEPT_MS
      this.arrived()
    } catch {
      // The card does without for so long.
      entry.until += AGAIN_MS - KEPT_MS
    }
  }
}
