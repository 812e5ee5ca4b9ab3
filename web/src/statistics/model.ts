// What the API answers; docs/api.md says what may be asked, docs/definitions.md what the numbers are.

export type Count = number | null
export type Window = 'day' | 'week' | 'month'
export type Measure = 'installs' | 'users' | 'launches'
export type Dimension = 'version' | 'build' | 'country' | 'os'

export interface Compared { readonly now: Count; readonly before: Count }
export type ByWindow = Readonly<Record<Window, Compared>>

export interface Told { readonly from: string; readonly to: string; readonly counted_at: string | null; readonly first_day: string | null }

export interface ProductRow {
  readonly key: string
  readonly name: string
  readonly installs: ByWindow
  readonly users: ByWindow
  readonly launches: Compared
  readonly trend: readonly Count[]
  readonly latest: string | null
  readonly latest_share: number | null
}

export interface Overview extends Told { readonly products: readonly ProductRow[] }

export interface Summary extends Told {
  readonly product: { readonly key: string; readonly name: string }
  readonly installs: ByWindow
  readonly users: ByWindow
  readonly launches: Compared
  readonly new: Compared | null
  readonly returned: Compared | null
  readonly lost: Compared | null
  readonly unverified: number | null
  readonly median_age_days: number | null
  readonly versions_behind: readonly { readonly behind: number | null; readonly installs: number }[]
}

export interface Series {
  readonly from: string
  readonly to: string
  readonly days: readonly string[]
  readonly total: readonly Count[]
  readonly before: readonly Count[]
  readonly series: readonly { readonly value: string; readonly build: string; readonly counts: readonly Count[] }[]
  readonly others: readonly Count[] | null
}

export interface Page { readonly total: number; readonly next: number | null }

export interface BreakdownRow {
  readonly value: string
  readonly build: string
  readonly installs: number
  readonly users: number
  readonly share: number
  readonly before: Count
}

export interface Breakdown extends Page {
  readonly as_of: string
  readonly sum: { readonly installs: number; readonly users: number }
  readonly rows: readonly BreakdownRow[]
}

export interface ReleaseRow {
  readonly version: string
  readonly day: string
  readonly source: 'registered' | 'seen'
  readonly installs: number
  readonly share: number | null
  readonly share_or_newer: number | null
  readonly days_to_50: number | null
  readonly days_to_90: number | null
}

export interface Releases extends Page { readonly as_of: string; readonly rows: readonly ReleaseRow[] }

export interface UpdateRow { readonly from: string; readonly to: string; readonly installs: number; readonly direction: 'upgrade' | 'downgrade' | 'same' }

export interface Updates extends Page { readonly sum: number; readonly rows: readonly UpdateRow[] }

export interface Moved {
  readonly days: readonly string[]
  readonly new: readonly number[]
  readonly returned: readonly number[]
  readonly lost: readonly number[]
}

export interface Cohort { readonly month: string; readonly installs: number; readonly active: readonly number[] }
