// The tour's clock: which stop it is at, for how long, and whether it goes on by itself.

import { next, type Stop } from './stops.ts'

// Long enough to read a card of six lines aloud, the flight included.
const COUNTRY_MS = 9_000
const WORLD_MS = 7_000

export class Tour {
  stop: Stop | null = null
  playing = true
  private place = 0
  private until = 0

  /** Go on by `step` stops from here, at time `ms`. */
  go(stops: readonly Stop[], step: 1 | -1, ms: number): void {
    const found = next(stops, this.stop, this.place, step)
    this.place = found.place
    this.at(found.stop, ms)
  }

  /** The stop that it goes on to from here. */
  peek(stops: readonly Stop[]): Stop | null {
    return next(stops, this.stop, this.place, 1).stop
  }

  /** Be at a stop, at time `ms`. */
  at(stop: Stop | null, ms: number): void {
    this.stop = stop
    this.until = ms + (stop?.country == null ? WORLD_MS : COUNTRY_MS)
  }

  /** Play or pause, at time `ms`. */
  play(playing: boolean, ms: number): void {
    this.playing = playing
    if (playing) this.until = Math.max(this.until, ms + 1_000)
  }

  /** Whether it is time to go on. */
  isDue(ms: number): boolean {
    return this.playing && ms >= this.until
  }
}
