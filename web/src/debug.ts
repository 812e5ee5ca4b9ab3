// What the page tells tests and curious people in the console of their browser: `callhome.view()`.

import type { Counts } from './live/messages.ts'
import { countsOf } from './live/ranking.ts'
import { type Box, centre, holds } from './map/box.ts'
import { unproject } from './map/projection.ts'
import type { Frames, Screen } from './map/screen.ts'
import type { Wall } from './wall.ts'

/** What is seen: `frame` and `main` (the country's main land) in the same units, the middle in degrees. */
export interface Seen {
  readonly product: string
  readonly country: string | null
  readonly playing: boolean
  readonly moving: boolean
  readonly middle: readonly [lon: number, lat: number]
  readonly frame: Box
  readonly main: Box | null
  readonly holds: boolean
}

export interface Callhome {
  view(): Seen
  drawn(): string[]
  counts(product: string, country: string): Counts | null
  frames(): Frames
  /** How many pulses are on the map. */
  pulses(): number
}

declare global {
  interface Window { callhome: Callhome }
}

export function expose(wall: Wall, screen: Screen): void {
  window.callhome = Object.freeze({
    view(): Seen {
      const { frame, moving } = screen
      const main = screen.byCode.get(wall.country ?? '')?.main ?? null
      const { product, country } = wall
      const middle = unproject(...centre(frame))
      return { product, country, playing: wall.tour.playing, moving, middle, frame, main, holds: main !== null && holds(frame, main) }
    },
    drawn: () => screen.codes,
    counts: (product: string, country: string) => countsOf(wall.live, product).get(country) ?? null,
    frames: () => screen.frames,
    pulses: () => screen.pulsing,
  })
}
