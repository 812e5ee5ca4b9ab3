// Buttons and keys.

import { type Measure, SPANS, WHATS } from '../measure.ts'
import { byId, make, showIn } from './dom.ts'
import { say } from './words.ts'

export interface Actions {
  step(by: 1 | -1): void
  toggle(): void
  overview(): void
  choose(product: string | null): void
  chooseNext(): void
  measureBy(measure: Pick<Measure, 'what' | 'span'>): void
  measureNext(): void
  perMillion(): void
  turnTheme(): void
}

/** What can be measured, in the order of the menu. */
export const MEASURES = SPANS.flatMap((span) => WHATS.map((what) => ({ what, span })))

/** Connect the buttons and the keys; keys leave alone what is typed with Ctrl, Alt or Meta. */
export function connect(actions: Actions): void {
  byId('previous').addEventListener('click', () => actions.step(-1))
  byId('next').addEventListener('click', () => actions.step(1))
  byId('play').addEventListener('click', () => actions.toggle())
  byId('per').addEventListener('click', () => actions.perMillion())
  byId('theme').addEventListener('click', () => actions.turnTheme())
  const [choice, measure] = [byId<HTMLSelectElement>('choice'), byId<HTMLSelectElement>('measure')]
  choice.addEventListener('change', () => actions.choose(choice.value === '' ? null : choice.value))
  measure.append(...MEASURES.map(({ what, span }, place) => option(String(place), say('ofSpan', { what: say(what), span: say(span) }))))
  measure.addEventListener('change', () => {
    const chosen = MEASURES[Number(measure.value)]
    if (chosen !== undefined) actions.measureBy(chosen)
  })
  const keys: Readonly<Record<string, () => void>> = {
    ' ': () => actions.toggle(),
    ArrowRight: () => actions.step(1),
    ArrowLeft: () => actions.step(-1),
    Escape: () => actions.overview(),
    p: () => actions.chooseNext(),
    m: () => actions.measureNext(),
    i: () => actions.perMillion(),
    t: () => actions.turnTheme(),
  }
  document.addEventListener('keydown', (event) => {
    const action = keys[event.key]
    const target = event.target instanceof Element ? event.target : document.body
    // A focused button takes its own space, a menu its own arrows.
    const own = target.closest('select') !== null || (event.key === ' ' && target.closest('button, a') !== null)
    if (action === undefined || own || event.ctrlKey || event.altKey || event.metaKey) return
    event.preventDefault()
    action()
  })
}

/** Show whether the tour goes on by itself. While it does, nobody is told aloud of each country. */
export function showPlaying(playing: boolean): void {
  const button = byId('play')
  button.classList.toggle('paused', !playing)
  button.setAttribute('aria-label', say(playing ? 'pause' : 'goOn'))
  byId('card').setAttribute('aria-live', playing ? 'off' : 'polite')
}

/** Show what is measured. */
export function showMeasure({ what, span, perMillion }: Measure): void {
  byId<HTMLSelectElement>('measure').value = String(MEASURES.findIndex((one) => one.what === what && one.span === span))
  byId('per').setAttribute('aria-pressed', String(perMillion))
}

/** Offer the products, and show which is chosen. */
export function showChoice(products: ReadonlyMap<string, string>, chosen: string | null): void {
  const choice = byId<HTMLSelectElement>('choice')
  showIn(choice, [...products], () => [option('', say('inTurn')), ...[...products].map(([key, name]) => option(key, name))])
  choice.value = chosen ?? ''
}

function option(value: string, text: string): HTMLOptionElement {
  const element = make('option', '', text)
  element.value = value
  return element
}
