// Loading a new build of the page between two stops, and going on where the tour was.

import type { Stop } from './tour/stops.ts'
import { assetsOf, Version } from './version.ts'

// Whoever has just touched the page may be about to do so again.
const CALM_MS = 60_000
const RESUME = 'callhome.resume'

export class Renewal {
  private readonly version = new Version(assetsOf(document.head.innerHTML), performance.now())
  private touched = -CALM_MS

  constructor() {
    for (const kind of ['pointerdown', 'keydown']) document.addEventListener(kind, () => (this.touched = performance.now()), { passive: true })
  }

  /** Look whether there is another build, if it is time to, or since the server has just come back. */
  look(isBack = false): void {
    void this.version.look(performance.now(), isBack)
  }

  /** Whether there is another build. */
  get isReady(): boolean {
    return this.version.isNew
  }

  /** Whether to load the page anew rather than go on to that stop; null: nothing is going on. */
  isDue(ahead: Stop | null): boolean {
    // From one product's last country to the whole world of the next is when nobody is reading.
    return this.isReady && performance.now() - this.touched > CALM_MS && (ahead === null || ahead.country === null)
  }

  /** Load the page anew; the tour goes on at that stop. */
  reload(ahead: Stop | null): void {
    if (ahead !== null) sessionStorage.setItem(RESUME, ahead.product)
    location.reload()
  }

  /** The product that the tour was at when the page was loaded anew, once. */
  resumed(): string | null {
    const product = sessionStorage.getItem(RESUME)
    sessionStorage.removeItem(RESUME)
    return product
  }
}
