// Both canvases and the camera. A frame is drawn only where something has changed or moves.

import { type Free, freePart } from '../ui/free.ts'
import { type Country, placeIn } from './atlas.ts'
import { type Box, centre, height, width } from './box.ts'
import { Camera, frameOf, type View, viewOf } from './camera.ts'
import { Land } from './land.ts'
import type { Palette } from './palette.ts'
import { INHABITED } from './projection.ts'
import { Pulses } from './pulses.ts'
import { Layer, lieOf } from './stage.ts'

// How much wider than the screen the world may be: only the Pacific is lost.
const OCEAN = 1.08
// People begin to see a longer one as a jerk.
const LONG_FRAME_MS = 50

/** Frames drawn since the page was opened; `long` took more than 50 ms from the one before, while things moved. */
export interface Frames { readonly drawn: number; readonly long: number }

export class Screen {
  readonly byCode: ReadonlyMap<string, Country>
  private readonly lower: Layer
  private readonly upper: Layer
  private readonly land: Land
  private readonly pulses: Pulses
  private readonly camera: Camera
  private readonly calm = matchMedia('(prefers-reduced-motion: reduce)')
  private free: Free
  private colours: ReadonlyMap<string, string> = new Map()
  private palette: Palette
  private shown: string | null = null
  private changed = true
  private asked = false
  private last = NaN
  private drawn = 0
  private long = 0

  constructor(stage: Element, canvases: readonly [lower: HTMLCanvasElement, upper: HTMLCanvasElement], countries: readonly Country[], palette: Palette) {
    this.byCode = new Map(countries.flatMap((country) => (country.code === null ? [] : [[country.code, country]])))
    this.palette = palette
    this.lower = new Layer(canvases[0], true)
    this.upper = new Layer(canvases[1], false)
    this.land = new Land(this.lower, countries)
    this.pulses = new Pulses(this.upper)
    this.free = freePart()
    this.camera = new Camera(this.target())
    new ResizeObserver(() => this.resize()).observe(stage)
    this.resize()
  }

  /** Colour countries, by code; drawn only where that is not how they are. */
  colour(colours: ReadonlyMap<string, string>, palette: Palette): void {
    const same = palette === this.palette && colours.size === this.colours.size
    if (same && [...colours].every(([code, colour]) => this.colours.get(code) === colour)) return
    this.colours = colours
    this.palette = palette
    this.redraw()
  }

  /** Go to a country, or to the whole world (null); a code that is not on the map is the whole world too. */
  go(code: string | null): void {
    this.shown = code
    if (this.calm.matches) this.camera.jump(this.target())
    else this.camera.fly(this.target(), performance.now())
    this.redraw()
  }

  /** Show that pings have arrived in a country. */
  pulse(code: string, launches: number): void {
    const country = this.byCode.get(code)
    // Hidden pages draw no frames: what arrives meanwhile must not all begin when they are looked at again.
    if (country === undefined || this.calm.matches || document.hidden) return
    this.pulses.add(code, launches, () => placeIn(country, Math.random), performance.now())
    this.request()
  }

  /** How many pulses there are. */
  get pulsing(): number {
    return this.pulses.count
  }

  get moving(): boolean {
    return this.camera.moving
  }

  get frames(): Frames {
    return { drawn: this.drawn, long: this.long }
  }

  /** What the free part of the screen shows, in the plane's units. */
  get frame(): Box {
    return frameOf(this.camera.view, this.aspect)
  }

  /** The codes on the map, as shape or dot. */
  get codes(): string[] {
    return [...this.byCode.keys()].sort()
  }

  private get aspect(): number {
    return width(this.free.country) / height(this.free.country)
  }

  private target(): View {
    const country = this.shown === null ? undefined : this.byCode.get(this.shown)
    return country === undefined ? this.world() : viewOf(country.main, this.aspect)
  }

  /** The whole world lies where there is no card then, and its empty ocean beyond the edges. */
  private world(): View {
    const { country, world } = this.free
    const scale = Math.min((width(world) * OCEAN) / width(INHABITED), height(world) / height(INHABITED))
    const [x, y] = centre(INHABITED)
    const [here, there] = [centre(country), centre(world)]
    return { x: x + (here[0] - there[0]) / scale, y: y + (here[1] - there[1]) / scale, width: width(country) / scale }
  }

  private resize(): void {
    this.free = freePart()
    this.lower.fit()
    this.upper.fit()
    this.camera.jump(this.target())
    // At once: a canvas that has a new size is empty until it is drawn.
    this.changed = true
    this.draw(performance.now())
  }

  private redraw(): void {
    this.changed = true
    this.request()
  }

  private request(): void {
    if (this.asked) return
    this.asked = true
    requestAnimationFrame((ms) => this.draw(ms))
  }

  private draw(ms: number): void {
    this.asked = false
    const moved = this.camera.tick(performance.now())
    const lie = lieOf(this.camera.view, this.free.country)
    if (moved || this.changed) this.land.draw({ lie, palette: this.palette, colours: this.colours, shown: this.shown })
    this.changed = false
    const pulsing = this.pulses.draw(lie, this.palette, performance.now())
    this.drawn += 1
    if (ms - this.last > LONG_FRAME_MS) this.long += 1
    const goesOn = pulsing || this.camera.moving
    this.last = goesOn ? ms : NaN
    if (goesOn) this.request()
  }
}
