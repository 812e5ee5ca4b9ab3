// The live counters as this page knows them: a pure fold of the server's messages.

import { type Counts, LAUNCHES_TODAY, type Message, type Numbers } from './messages.ts'

/** `installs` is null where a guest is not told. */
export interface Build { readonly version: string; readonly build: string; readonly installs: number | null }

/** Where launches were counted since the message before. */
export interface Arrival { readonly product: string; readonly country: string; readonly launches: number }

/** What a message did: `ask` says that something is missing and a snapshot must be asked for. */
export interface Outcome { readonly changed: boolean; readonly ask: boolean; readonly arrivals: readonly Arrival[] }

const NOTHING: Outcome = { changed: false, ask: false, arrivals: [] }
const ASK: Outcome = { changed: false, ask: true, arrivals: [] }

export class LiveState {
  /** Names by key, in the order of the names. */
  readonly products = new Map<string, string>()
  /** Counts by product, then by country code. */
  readonly countries = new Map<string, Map<string, Counts>>()
  /** Seconds for which the server's own numbers haven't followed its database. */
  staleS = 0
  today: string | null = null
  /** From how many installs on a guest is told of a country; null: this is no guest. */
  floor: number | null = null
  private readonly builds = new Map<string, Map<string, Build & { readonly installs: number }>>()
  private readonly tops = new Map<string, readonly Build[]>()
  private epoch: string | null = null
  private seq = -1
  private asked = false

  /** Take a message; messages of an unknown type do nothing. */
  receive(message: Message): Outcome {
    switch (message.type) {
      case 'snapshot':
        return this.restart(message)
      case 'change':
        return this.follow(message)
      case 'alive':
        this.staleS = message.stale_s
        return message.epoch !== this.epoch || message.seq > this.seq ? this.ask() : NOTHING
      default:
        return NOTHING
    }
  }

  /** A connection has ended: whatever was asked for doesn't come any more. */
  disconnected(): void {
    this.asked = false
  }

  /** The builds of a product, the most installed first. */
  topBuilds(product: string, count: number): readonly Build[] {
    if (this.floor !== null) return this.tops.get(product)?.slice(0, count) ?? []
    const all = [...(this.builds.get(product)?.values() ?? [])]
    return all.sort((a, b) => b.installs - a.installs || (a.version < b.version ? -1 : 1)).slice(0, count)
  }

  private restart(message: Numbers): Outcome {
    for (const table of [this.products, this.countries, this.builds, this.tops]) table.clear()
    this.epoch = message.epoch
    this.asked = false
    this.apply(message)
    return { changed: true, ask: false, arrivals: [] }
  }

  private follow(message: Numbers): Outcome {
    if (message.epoch === this.epoch && message.seq <= this.seq) return NOTHING
    if (message.epoch !== this.epoch || message.seq !== this.seq + 1) return this.ask()
    const newDay = message.today !== this.today
    return { changed: true, ask: false, arrivals: this.apply(message).filter(() => !newDay) }
  }

  private ask(): Outcome {
    if (this.asked) return NOTHING
    this.asked = true
    return ASK
  }

  private apply(message: Numbers): Arrival[] {
    this.seq = message.seq
    this.today = message.today
    this.staleS = 0
    this.floor = message.floor ?? null
    const arrivals: Arrival[] = []
    for (const { key, name } of message.products) {
      if (name === null) this.products.delete(key)
      else this.products.set(key, name)
    }
    for (const [product, country, ...counts] of message.countries) {
      const table = tableOf(this.countries, product)
      // Where a guest was not told before, all of today's would seem to come now.
      const [before, now] = [table.get(country)?.[LAUNCHES_TODAY], counts[LAUNCHES_TODAY]]
      const launches = now === null || before === null ? 0 : now - (before ?? 0)
      if (launches > 0) arrivals.push({ product, country, launches })
      if (counts.some((count) => count !== 0)) table.set(country, counts)
      else table.delete(country)
    }
    for (const [product, version, build, installs] of message.builds) {
      const table = tableOf(this.builds, product)
      const key = JSON.stringify([version, build])
      if (installs > 0) table.set(key, { version, build, installs })
      else table.delete(key)
    }
    for (const [product, builds] of message.top ?? []) {
      this.tops.set(product, builds.map(([version, build]) => ({ version, build, installs: null })))
    }
    return arrivals
  }
}

function tableOf<T>(tables: Map<string, Map<string, T>>, product: string): Map<string, T> {
  let table = tables.get(product)
  if (table === undefined) tables.set(product, (table = new Map()))
  return table
}
