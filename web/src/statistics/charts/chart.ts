// A chart over days: drawn as wide as there is room, read by pointer and by keys, saved as a picture, there as a table.

import { button, type Content, draw, make, newId } from '../../shell/dom.ts'
import { day } from '../../shell/format.ts'
import { table } from '../../shell/table.ts'
import { savePicture } from './picture.ts'
import { type Drawn, type Layer, type Plot, plotted } from './plot.ts'

export interface Chart extends Plot {
  /** Its name, such as "Active installs". */
  readonly title: string
  /** What it is of, such as the product and the days. */
  readonly subtitle: string
  /** What is seen in it, in a sentence. */
  readonly description: string
  /** How a value of a layer is written; for shares, `place` leads to the count behind it. */
  readonly value: (layer: Layer, place: number) => string
  readonly csv: string
}

const HEIGHT = 260
const PICTURE: readonly [number, number] = [960, 380]

/** The chart's element. */
export function chart(given: Chart): HTMLElement {
  const described = newId('described')
  const stage = make('div', { class: 'stage' })
  const readout = make('div', { class: 'readout', hidden: true })
  const slider = make('div', {
    class: 'slider', role: 'slider', tabindex: 0, 'aria-label': `${given.title}, day by day`, 'aria-describedby': described,
    'aria-valuemin': 0, 'aria-valuemax': Math.max(0, given.days.length - 1), 'aria-valuenow': Math.max(0, given.days.length - 1), 'aria-valuetext': valueText(given, given.days.length - 1),
  })
  const frame = make('div', { class: 'frame' }, stage, slider, readout)
  let drawn: Drawn | null = null
  const redraw = (): void => {
    const width = Math.floor(stage.clientWidth)
    if (width < 50) return
    drawn = plotted(given, width, HEIGHT)
    drawn.svg.setAttribute('role', 'img')
    drawn.svg.setAttribute('aria-label', `${given.title}, ${given.subtitle}`)
    drawn.svg.setAttribute('aria-describedby', described)
    stage.replaceChildren(drawn.svg)
  }
  new ResizeObserver(redraw).observe(stage)
  followed(given, slider, readout, () => drawn)
  return make(
    'figure', { class: 'chart' }, legend(given.layers), frame,
    make('p', { class: 'unseen', id: described }, given.description), tools(given),
  )
}

function legend(layers: readonly Layer[]): HTMLElement {
  const entries = layers.map((layer) => {
    const mark = draw('svg', { width: 12, height: 12, 'aria-hidden': 'true' }, layer.isFaint === true
      ? draw('line', { x1: 0, x2: 12, y1: 6, y2: 6, stroke: layer.colour, 'stroke-width': 2, 'stroke-dasharray': '4 2' })
      : draw('rect', { width: 12, height: 12, rx: 2, fill: layer.colour }))
    return make('li', {}, mark, layer.name)
  })
  return make('ul', { class: 'legend' }, ...entries)
}

function tools(given: Chart): HTMLElement {
  const save = button('Save as picture', 'quiet', () => {
    const words = { title: given.title, subtitle: given.subtitle, legend: given.layers.map((layer) => [layer.name, layer.colour] as const) }
    savePicture(plotted(given, ...PICTURE).svg, PICTURE, words).catch(() => { save.textContent = 'The picture could not be saved' })
  })
  const numbers = make('details', { class: 'numbers' }, make('summary', {}, 'The same as a table'))
  // Made when it is asked for: a year of days is a long table.
  numbers.addEventListener('toggle', () => {
    if (numbers.open && numbers.childElementCount === 1) numbers.append(numbersOf(given))
  })
  return make('div', { class: 'tools unprinted' }, numbers, make('div', { class: 'row' }, save, make('a', { class: 'quiet', href: given.csv, download: true }, 'CSV')))
}

function numbersOf(given: Chart): HTMLElement {
  const rows = given.days.map((_, place) => place).reverse()
  return table<number>({
    caption: `${given.title}, ${given.subtitle}`, rows, most: 31,
    columns: [
      { name: 'Day', cell: (place) => day(given.days[place] ?? '') },
      ...given.layers.map((layer) => ({ name: layer.name, isNumber: true, cell: (place: number) => given.value(layer, place) })),
    ],
  })
}

const valueText = (given: Chart, place: number): string =>
  `${day(given.days[place] ?? given.days[0] ?? '1970-01-01')}: ${given.layers.map((layer) => `${layer.name} ${given.value(layer, place)}`).join(', ')}`

/** Have pointer and keys read the values of a day. */
function followed(given: Chart, slider: HTMLElement, readout: HTMLElement, drawn: () => Drawn | null): void {
  const last = given.days.length - 1
  let at = last
  const show = (place: number): void => {
    const seen = drawn()
    if (seen === null || last < 0) return
    at = Math.max(0, Math.min(last, place))
    slider.setAttribute('aria-valuenow', String(at))
    slider.setAttribute('aria-valuetext', valueText(given, at))
    readout.replaceChildren(...lines(given, at))
    readout.hidden = false
    const x = seen.places[at] ?? 0
    rule(seen, x)
    const room = slider.clientWidth - readout.offsetWidth
    readout.style.left = `${Math.max(0, Math.min(room, x > slider.clientWidth / 2 ? x - readout.offsetWidth - 12 : x + 12))}px`
  }
  const hide = (): void => {
    readout.hidden = true
    drawn()?.svg.querySelector('.rule')?.remove()
  }
  slider.addEventListener('pointermove', (event) => {
    const places = drawn()?.places ?? []
    const x = event.clientX - slider.getBoundingClientRect().left
    show(places.reduce((best, place, index) => (Math.abs(place - x) < Math.abs((places[best] ?? 0) - x) ? index : best), 0))
  })
  slider.addEventListener('pointerleave', hide)
  slider.addEventListener('focus', () => show(at))
  slider.addEventListener('blur', hide)
  slider.addEventListener('keydown', (event) => {
    const steps: Readonly<Record<string, number>> = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, PageDown: at - 7, PageUp: at + 7, Home: 0, End: last }
    const next = steps[event.key]
    if (event.key === 'Escape') hide()
    if (next === undefined) return
    event.preventDefault()
    show(next)
  })
}

function rule(drawn: Drawn, x: number): void {
  drawn.svg.querySelector('.rule')?.remove()
  drawn.svg.append(draw('line', { class: 'rule', x1: x, x2: x, y1: drawn.top, y2: drawn.bottom, stroke: 'var(--soft)' }))
}

function lines(given: Chart, place: number): Content[] & Node[] {
  const entries = given.layers.map((layer) => {
    const mark = draw('svg', { width: 10, height: 10, 'aria-hidden': 'true' }, draw('rect', { width: 10, height: 10, rx: 2, fill: layer.colour }))
    return make('li', {}, mark, make('span', {}, layer.name), make('b', {}, given.value(layer, place)))
  })
  return [make('strong', {}, day(given.days[place] ?? '')), make('ul', { class: 'values' }, ...entries)]
}
