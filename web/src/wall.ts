// The wall: what is known, where the tour is, and what of it is on the screen.

import populations from '../generated/populations.json'
import { type Choices, queryOf } from './choices.ts'
import { getJson, signInUrl } from './live/fetching.ts'
import type { Counts, Message } from './live/messages.ts'
import { ALL, countsOf, type Ranked, ranking, total } from './live/ranking.ts'
import type { Listener } from './live/socket.ts'
import { LiveState } from './live/state.ts'
import { type Trend, Trends } from './live/trends.ts'
import { boundsOfCounts, boundsOfRates, classOf } from './map/colours.ts'
import { huesOf, type Palette, paletteOf, USUAL_HUE } from './map/palette.ts'
import type { Screen } from './map/screen.ts'
import { type Measure, WHATS } from './measure.ts'
import { Renewal } from './renewal.ts'
import { type Stop, stopsOf, TOP } from './tour/stops.ts'
import { Tour } from './tour/tour.ts'
import { showCard, showHead } from './ui/card.ts'
import { type Actions, connect, MEASURES, showChoice, showMeasure, showPlaying } from './ui/controls.ts'
import { showLegend } from './ui/legend.ts'
import { LIST_ROWS, RankingList } from './ui/ranking.ts'
import { showEmpty, showStatus, stateOf } from './ui/status.ts'
import { onSystemTheme, showTheme, themeOf } from './ui/theme.ts'
import { say } from './ui/words.ts'

const BUILDS_SHOWN = 3
// As many rows as are read from five metres.
const KIOSK_ROWS = 14
// How often the tour's clock and the state are looked at.
const LOOK_MS = 250
// A server that restarts is back by then; after that, it may be that we are signed out.
const ASK_MS = 10_000
// Of countries that are not on the map, and areas without an owner.
const NO_COUNTS: Counts = [0, 0, 0, 0, 0, 0]

export class Wall implements Listener, Actions {
  readonly live = new LiveState()
  readonly tour = new Tour()
  private readonly screen: Screen
  private readonly list: RankingList
  private readonly trends = new Trends(getJson, () => this.show())
  private readonly renewal = new Renewal()
  private readonly palettes = new Map<string, Palette>()
  private choices: Choices
  private wanted: string | null
  private resumed: string | null
  private there = false
  private liveAt = new Date()
  private askAt = ASK_MS
  private signIn: string | null = null

  constructor(screen: Screen, choices: Choices) {
    this.screen = screen
    this.choices = choices
    this.wanted = choices.stop
    this.resumed = this.renewal.resumed()
    this.tour.playing = choices.playing
    this.list = new RankingList((country) => this.visit(country), choices.kiosk ? KIOSK_ROWS : LIST_ROWS)
    connect(this)
    showPlaying(this.tour.playing)
    onSystemTheme(() => this.show())
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
    // Another build of the page comes with a restart of the server.
    if (there && !this.there) this.renewal.look(true)
    if (there !== this.there) this.askAt = performance.now() + ASK_MS
    this.there = there
    if (there) this.signIn = null
    else this.live.disconnected()
    this.look()
  }

  // What comes from people.

  step(by: 1 | -1): void {
    this.tour.go(this.stops(), by, performance.now())
    this.arrive()
    this.remember()
  }

  toggle(): void {
    this.tour.play(!this.tour.playing, performance.now())
    showPlaying(this.tour.playing)
    this.remember()
  }

  overview(): void {
    this.visit(null)
  }

  choose(product: string | null): void {
    this.choices = { ...this.choices, product }
    this.tour.at(null, performance.now())
    this.begin()
    this.arrive()
    this.remember()
  }

  chooseNext(): void {
    const all = [null, ...this.live.products.keys()]
    this.choose(all[(all.indexOf(this.choices.product) + 1) % all.length] ?? null)
  }

  measureBy(measure: Partial<Measure>): void {
    this.choices = { ...this.choices, measure: { ...this.choices.measure, ...measure } }
    this.show()
    this.remember()
  }

  measureNext(): void {
    const { what, span } = this.choices.measure
    const place = MEASURES.findIndex((one) => one.what === what && one.span === span)
    this.measureBy(MEASURES[(place + 1) % MEASURES.length] ?? {})
  }

  perMillion(): void {
    this.measureBy({ perMillion: !this.choices.measure.perMillion })
  }

  turnTheme(): void {
    this.choices = { ...this.choices, theme: themeOf(this.choices.theme) === 'dark' ? 'light' : 'dark' }
    this.show()
    this.remember()
  }

  /** Stand at a country, or before the world: somebody wants to look at it. */
  private visit(country: string | null): void {
    this.tour.at({ product: this.product, country }, performance.now())
    if (this.tour.playing) this.toggle()
    this.arrive()
    this.remember()
  }

  /** Put into the address what was chosen, so that the page comes up again as it is. */
  private remember(): void {
    const { playing } = this.tour
    const query = queryOf({ ...this.choices, playing, stop: playing ? null : this.country }, new URLSearchParams(location.search))
    history.replaceState(null, '', query === '' ? location.pathname : `?${query}`)
  }

  // What follows from both.

  /** The product that is shown: that of the stop, else the chosen one, else all together. */
  get product(): string {
    return this.tour.stop?.product ?? this.choices.product ?? ALL
  }

  get country(): string | null {
    return this.tour.stop?.country ?? null
  }

  private stops(): Stop[] {
    const keys = this.choices.product === null ? [...this.live.products.keys()] : [this.choices.product]
    const tops = keys.map((key): [string, string[]] => [key, this.ranked(key).slice(0, TOP).map(({ country }) => country)])
    return stopsOf(new Map(tops))
  }

  /** The countries that the tour can go to: those of the ranking that have a place and a number. */
  private ranked(product: string): Ranked[] {
    const all = ranking(countsOf(this.live, product), this.choices.measure, populations)
    return all.filter(({ country, value }) => value !== null && this.screen.byCode.has(country))
  }

  /** Take up the tour once there is something to see, and the country that the address asks for. */
  private begin(): void {
    if (this.tour.stop !== null) return
    const stops = this.stops()
    const first = stops.find(({ product }) => product === this.resumed) ?? stops[0]
    if (first === undefined) return
    this.tour.at({ product: first.product, country: this.wanted }, performance.now())
    this.wanted = this.resumed = null
    this.arrive()
  }

  private arrive(): void {
    this.screen.go(this.country)
    this.show()
  }

  private look(): void {
    const state = stateOf(this.there, this.live.staleS, this.live.today !== null)
    if (state === 'live') this.liveAt = new Date()
    showStatus({ state, connected: this.there, since: this.liveAt, signIn: this.signIn })
    this.renewal.look()
    if (!this.there && performance.now() > this.askAt) void this.askWhy()
    const due = this.tour.isDue(performance.now())
    if (this.renewal.isReady && (due || !this.tour.playing)) this.renew()
    // A stale map stands: its numbers are old, and moving it would look as if they were not.
    if (state === 'live' && due) {
      this.tour.go(this.stops(), 1, performance.now())
      this.arrive()
    }
  }

  /** Load a new build of the page, rather than go on to what is ahead, if this is the moment. */
  private renew(): void {
    const ahead = this.tour.playing ? this.tour.peek(this.stops()) : null
    if (this.renewal.isDue(ahead)) this.renewal.reload(ahead)
  }

  /** Find out whether we are signed out, since the server doesn't take us back. */
  private async askWhy(): Promise<void> {
    this.askAt = performance.now() + ASK_MS
    const url = await signInUrl()
    if (!this.there) this.signIn = url
  }

  private show(): void {
    const { product, country, live } = this
    const { measure } = this.choices
    const palette = this.palette()
    showMeasure(measure)
    showTheme(themeOf(this.choices.theme), palette.accent)
    // A server that has read nothing from its database yet would have us show zeros: what is there stands.
    if (live.today === null) return
    const counts = countsOf(live, product)
    const ranked = ranking(counts, measure, populations)
    const totals = WHATS.map((what) => total(counts, what, measure.span))
    showHead(live.products.get(product) ?? (product === ALL ? say('allProducts') : product), totals, measure.span)
    const what = say(measure.what)
    const title = say('ofSpan', { what: measure.perMillion ? say('perMillion', { what }) : what, span: say(measure.span) })
    this.list.show({ ranked, current: country, title, rates: measure.perMillion, floor: live.floor })
    showCard(country === null ? null : {
      country, measure, place: ranked.find((row) => row.country === country), counts: counts.get(country) ?? NO_COUNTS,
      total: totals[WHATS.indexOf(measure.what)] ?? { sum: 0, more: false }, trend: this.trend(product, country),
      builds: live.topBuilds(product, BUILDS_SHOWN), floor: live.floor,
    })
    showChoice(live.products, this.choices.product)
    showEmpty([...live.products.keys()], counts.size === 0, this.choices.product)
    this.paint(ranked, palette)
  }

  /** Colour the map, and say what the colours mean. */
  private paint(ranked: readonly Ranked[], palette: Palette): void {
    const whole = !this.choices.measure.perMillion
    const values = ranked.map(({ value }) => value ?? 0).filter((value) => value > 0)
    const most = Math.max(0, ...values)
    const from = whole ? boundsOfCounts(most) : boundsOfRates(values)
    const few = ranked.some(({ value }) => value === null) ? { colour: palette.few, floor: this.live.floor ?? 0 } : null
    showLegend(most === 0 && few === null ? null : { classes: most === 0 ? [] : palette.classes, from, whole, few })
    const colours = ranked.map(({ country, value }): [string, string] =>
      [country, value === null ? palette.few : palette.classes[classOf(value, from)] ?? palette.land])
    this.screen.colour(new Map(colours), palette)
  }

  /** What the statistics know of a country; guests are told nothing of them. */
  private trend(product: string, country: string): Trend | null {
    const isAsked = this.live.floor === null && product !== ALL && this.there
    return isAsked ? this.trends.of(product, country, this.choices.measure.what, performance.now()) : null
  }

  private palette(): Palette {
    const [theme, hue] = [themeOf(this.choices.theme), huesOf(this.live.products.keys()).get(this.product) ?? USUAL_HUE]
    const key = `${theme} ${hue}`
    const palette = this.palettes.get(key) ?? paletteOf(theme, hue)
    this.palettes.set(key, palette)
    return palette
  }
}
