// What the server says over the websocket: docs/live.md.

/** A number; null: a guest is not told, for it is of fewer installs than the floor. */
export type Count = number | null
/** Installs, users and launches of today, then of the last 30 days, today included. */
export type Counts = readonly [
  installsToday: Count, usersToday: Count, launchesToday: Count,
  installs: Count, users: Count, launches: Count,
]
export const LAUNCHES_TODAY = 2

export interface Numbers {
  readonly epoch: string
  readonly seq: number
  readonly today: string | null
  readonly products: readonly { readonly key: string; readonly name: string | null }[]
  readonly countries: readonly (readonly [product: string, country: string, ...counts: Counts])[]
  readonly builds: readonly (readonly [product: string, version: string, build: string, installs: number])[]
  /** Guests alone get these: from how many installs on a country's numbers are told, and the top builds by product. */
  readonly floor?: number
  readonly top?: readonly (readonly [product: string, builds: readonly (readonly [version: string, build: string])[]])[]
}
export interface Snapshot extends Numbers { readonly type: 'snapshot' }
export interface Change extends Numbers { readonly type: 'change' }
export interface Alive { readonly type: 'alive'; readonly epoch: string; readonly seq: number; readonly stale_s: number }
export type Message = Snapshot | Change | Alive

/** The one thing that a viewer may say. */
export const ASK_SNAPSHOT = '{"type":"snapshot"}'
