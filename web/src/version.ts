// Whether the server has another build of this page, and loading it once that disturbs nobody.

// Every tenth minute, and whenever the server comes back: that is when it has been replaced.
const LOOK_MS = 10 * 60_000
// During a rolling deployment old and new answer in turns: a page must not be loaded again with each.
const LEAST_MS = 60_000
const PATIENCE_MS = 15_000

/** The scripts and styles that a page names, in order; their names carry hashes of their content. */
export function assetsOf(html: string): string[] {
  return [...html.matchAll(/(?:src|href)="([^"]*assets\/[^"]+\.(?:js|css))"/g)].map(([, name]) => name ?? '').sort()
}

export class Version {
  /** Whether another build is there, all of it. */
  isNew = false
  private readonly own: readonly string[]
  private readonly begun: number
  private looked: number
  private looking = false

  /** `own` are the assets of this page, `ms` is now. */
  constructor(own: readonly string[], ms: number) {
    this.own = own
    this.begun = this.looked = ms
  }

  /** Look at time `ms` whether there is another build, if it is time to, or `now`. */
  async look(ms: number, now = false): Promise<void> {
    if (this.isNew || this.looking || ms - this.begun < LEAST_MS || (!now && ms - this.looked < LOOK_MS)) return
    this.looked = ms
    this.looking = true
    try {
      const other = await assetsThere()
      // Nothing of the kind: the page to sign in, or a proxy's own words.
      if (other.length === 0 || String(other) === String(this.own)) return
      // All there before it is loaded: of two replicas behind one name, the one may still be old.
      const answers = await Promise.all(other.map((name) => fetch(name, { signal: AbortSignal.timeout(PATIENCE_MS) })))
      this.isNew = answers.every(({ ok }) => ok)
    } catch {
      // The server is away, which the page says anyway.
    } finally {
      this.looking = false
    }
  }
}

async function assetsThere(): Promise<string[]> {
  const answer = await fetch(location.pathname, { cache: 'no-cache', signal: AbortSignal.timeout(PATIENCE_MS) })
  return answer.ok && !answer.redirected ? assetsOf(await answer.text()) : []
}
