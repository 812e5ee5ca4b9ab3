// What the server says over the websocket: docs/live.md.

/** Installs, users and launches of today, then of the last 30 days, today included. */
export type Counts = readonly [
  installsToday: number, usersToday: number, launchesToday: number,
  installs: number, users: number, launches: number,
]
export const LAUNCHES_TODAY = 2
export const INSTALLS = 3
export const USERS = 4

export interface Numbers {
  readonly epoch: string
  readonly seq: number
  readonly today: string | null
  readonly products: readonly { readonly key: string; readonly name: string | null }[]
  readonly countries: readonly (readonly [product: string, country: string, ...counts: Counts])[]
  readonly builds: readonly (readonly [product: string, version: string, build: string, installs: number])[]
}
export interface Snapshot extends Numbers { readonly type: 'snapshot' }
export interface Change extends Numbers { readonly type: 'change' }
export interface Alive { readonly type: 'alive'; readonly epoch: string; readonly seq: number; readonly stale_s: number }
export type Message = Snapshot | Change | Alive

/** The one thing that a viewer may say. */
export const ASK_SNAPSHOT = '{"type":"snapshot"}'
