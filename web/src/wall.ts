// The wall: what is known, where the tour is, and what of it is on the screen.

import type { Choices } from './choices.ts'
import { INSTALLS, type Message } from './live/messages.ts'
import { ALL, countsOf, type Ranked, ranking, total } from './live/ranking.ts'
import type { Listener } from './live/socket.ts'
import { LiveState } from './live/state.ts'
import { colourOf } from './map/colours.ts'
import type { Screen } from './map/screen.ts'
import { stopsOf, TOP } from './tour/stops.ts'
import { Tour } from './tour/tour.ts'
import { showCard, showHead } from './ui/card.ts'
import { type Actions, connect, showChoice, showPlaying } from './ui/controls.ts'
import { showLegend } from './ui/legend.ts'
import { RankingList } from './ui/ranking.ts'
import { showEmpty, showState, stateOf } from './ui/status.ts'

const BUILDS_SHOWN = 3
// How often the tour's clock and the state are looked at.
const LOOK_MS = 250
// Of countries that are not on the map, and areas without an owner.
const NO_COUNTS = [0, 0, 0, 0, 0, 0] as const

export class Wall implements Listener, Actions {
  readonly live = new LiveState()
  readonly tour = new Tour()
  private readonly screen: Screen
  private readonly list = new RankingList((country) => this.visit(country))
  private chosen: string | null
  private wanted: string | null
  private there = false
  private liveAt = new Date()

  constructor(screen: Screen, choices: Choices) {
    this.screen = screen
    this.chosen = choices.product
    this.wanted = choices.stop
    this.tour.playing = choices.playing
    connect(this)
    showPlaying(this.tour.playing)
    setInterval(() => this.look(), LOOK_MS)
    this.look()
  }

  // What comes from the server.

  message(message: Message): boolean {
    const { changed, ask, arrivals } = this.live.receive(message)
    if (changed) {
      this.begin()
      this.show()
      const product = this.product
      for (const { product: of, country, launches } of arrivals) {
        if (product === ALL || of === product) this.screen.pulse(country, launches)
      }
    }
    this.look()
    return ask
  }

  connected(there: boolean): void {
    this.there = there
    if (!there) this.live.disconnected()
    this.look()
  }

  // What comes from people.

  step(by: 1 | -1): void {
    this.tour.go(this.stops(), by, performance.now())
    this.arrive()
  }

  toggle(): void {
    this.tour.play(!this.tour.playing, performance.now())
    showPlaying(this.tour.playing)
  }

  overview(): void {
    this.visit(null)
  }

  choose(product: string | null): void {
    this.chosen = product
    this.tour.at(null, performance.now())
    this.begin()
    this.arrive()
  }

  chooseNext(): void {
    const all = [null, ...this.live.products.keys()]
    this.choose(all[(all.indexOf(this.chosen) + 1) % all.length] ?? null)
  }

  /** Stand at a country, or before the world: somebody wants to look at it. */
  private visit(country: string | null): void {
    this.tour.at({ product: this.product, country }, performance.now())
    if (this.tour.playing) this.toggle()
    this.arrive()
  }

  // What follows from both.

  /** The product that is shown: that of the stop, else the chosen one, else all together. */
  get product(): string {
    return this.tour.stop?.product ?? this.chosen ?? ALL
  }

  get country(): string | null {
    return this.tour.stop?.country ?? null
  }

  private stops() {
    const keys = this.chosen === null ? [...this.live.products.keys()] : [this.chosen]
    const tops = keys.map((key): [string, string[]] => [key, this.ranked(key).slice(0, TOP).map(({ country }) => country)])
    return stopsOf(new Map(tops))
  }

  /** The countries that the tour can go to: those of the ranking that have a place. */
  private ranked(product: string): Ranked[] {
    return ranking(countsOf(this.live, product)).filter(({ country }) => this.screen.byCode.has(country))
  }

  /** Take up the tour once there is something to see, and the country that the address asks for. */
  private begin(): void {
    const [first] = this.stops()
    if (this.tour.stop !== null || first === undefined) return
    this.tour.at({ product: first.product, country: this.wanted }, performance.now())
    this.wanted = null
    this.arrive()
  }

  private arrive(): void {
    this.screen.go(this.country)
    this.show()
  }

  private look(): void {
    const state = stateOf(this.there, this.live.staleS, this.live.today !== null)
    if (state === 'live') this.liveAt = new Date()
    showState(state, this.there, this.liveAt)
    // A stale map stands: its numbers are old, and moving it would look as if they were not.
    if (state === 'live' && this.tour.isDue(performance.now())) this.step(1)
  }

  private show(): void {
    const { product, country, live } = this
    // A server that has read nothing from its database yet would have us show zeros: what is there stands.
    if (live.today === null) return
    const counts = countsOf(live, product)
    const ranked = ranking(counts)
    const sum = total(counts)
    const most = ranked[0]?.counts[INSTALLS] ?? 0
    showHead(live.products.get(product) ?? (product === ALL ? 'All products' : product), sum)
    const place = ranked.find((row) => row.country === country)
    showCard(country === null ? null : {
      country, rank: place?.rank ?? 0, counts: place?.counts ?? NO_COUNTS, total: sum,
      builds: live.topBuilds(product, BUILDS_SHOWN),
    })
    this.list.show(ranked, country)
    showLegend(most)
    showChoice(live.products, this.chosen)
    showEmpty([...live.products.keys()], sum[INSTALLS], this.chosen)
    this.screen.colour(new Map(ranked.map((row) => [row.country, colourOf(row.counts[INSTALLS], most)])))
  }
}
