// Tables: with a caption, headers that sort, pages, a link to the same as CSV. See docs of `Table` for what one says.

import { button, type Content, make } from './dom.ts'
import { definitionUrl } from './definitions.ts'
import { number } from './format.ts'

/** A column; `cell` makes its content from a row, `sort` the value that it is sorted by (without it, it can't be). */
export interface Column<Row> {
  readonly name: string
  readonly cell: (row: Row) => Content
  readonly sort?: (row: Row) => number | string | null
  readonly isNumber?: boolean
  /** The anchor of its definition. */
  readonly about?: string
}

/** By which column, by name; null as the server orders them. */
export interface Order {
  readonly column: string
  readonly descending: boolean
}

/** Which part of a list is shown; `next` is where the next begins, as the API says. */
export interface Paging {
  readonly offset: number
  readonly limit: number
  readonly total: number
  readonly next: number | null
  readonly go: (offset: number) => void
}

export interface Table<Row> {
  readonly caption: string
  readonly columns: readonly Column<Row>[]
  readonly rows: readonly Row[]
  readonly order?: Order | null
  /** Without it, the table remembers its order itself. */
  readonly onOrder?: (order: Order | null) => void
  /** The address of the CSV. */
  readonly csv?: string
  /** The last row, such as of totals: one content for each column. */
  readonly foot?: readonly Content[]
  readonly paging?: Paging
  /** How many rows are shown before more are asked for. */
  readonly most?: number
  /** The caption is there for screen readers alone where a heading says the same. */
  readonly isCaptionUnseen?: boolean
}

/** The table's element. */
export function table<Row>(given: Table<Row>): HTMLElement {
  const whole = make('div', { class: 'table' })
  const show = (order: Order | null, isWhole: boolean): void => {
    const reorder = (next: Order | null): void => {
      given.onOrder?.(next)
      if (given.onOrder === undefined) show(next, isWhole)
    }
    const focused = whole.contains(document.activeElement) ? document.activeElement?.textContent : null
    const all = sorted(given.rows, given.columns, order)
    const rows = isWhole || given.most === undefined ? all : all.slice(0, given.most)
    const more = rows.length < all.length ? button(`Show all ${number(all.length)}`, 'quiet', () => show(order, true)) : null
    const parts = [scrolling(given, rows, order, reorder), tools(given, more)]
    whole.replaceChildren(...parts.filter((part) => part !== null))
    // What was just used is made anew, and keeps the focus.
    if (focused) [...whole.querySelectorAll('button')].find((each) => each.textContent === focused)?.focus()
  }
  show(given.order ?? null, false)
  return whole
}

/** The rows by an order: numbers by size, texts as the viewer's language sorts them, what is unknown last. */
export function sorted<Row>(rows: readonly Row[], columns: readonly Column<Row>[], order: Order | null): readonly Row[] {
  const sort = columns.find((column) => column.name === order?.column)?.sort
  if (order === null || sort === undefined) return rows
  const sign = order.descending ? -1 : 1
  return [...rows].sort((one, other) => {
    const [a, b] = [sort(one), sort(other)]
    if (a === null || b === null) return Number(a === null) - Number(b === null)
    if (typeof a === 'number' && typeof b === 'number') return sign * (a - b)
    return sign * String(a).localeCompare(String(b), undefined, { numeric: true })
  })
}

/** What a press on a header makes of the order: numbers fall first, texts rise first; the third press takes it away. */
export function pressed(column: Pick<Column<unknown>, 'name' | 'isNumber'>, order: Order | null): Order | null {
  const first = column.isNumber === true
  if (order?.column !== column.name) return { column: column.name, descending: first }
  return order.descending === first ? { column: column.name, descending: !first } : null
}

/** An order as a text for the address, `-Installs`; and back. */
export const orderText = (order: Order | null): string | null => (order === null ? null : `${order.descending ? '-' : ''}${order.column}`)
export function orderOf(said: string | null): Order | null {
  if (!said) return null
  return said.startsWith('-') ? { column: said.slice(1), descending: true } : { column: said, descending: false }
}

function scrolling<Row>(
  given: Table<Row>, rows: readonly Row[], order: Order | null, reorder: (order: Order | null) => void,
): HTMLElement {
  // A part of a list that isn't there as a whole can't be sorted here.
  const isPart = given.paging !== undefined && (given.paging.offset > 0 || given.paging.next !== null)
  const heads = given.columns.map((column) => head(column, isPart ? null : order, isPart ? null : reorder))
  const body = rows.map((row) =>
    make('tr', {}, ...given.columns.map((column, place) => {
      const name = column.isNumber === true ? 'number' : null
      return place === 0 ? make('th', { scope: 'row', class: name }, column.cell(row)) : make('td', { class: name }, column.cell(row))
    })),
  )
  const inner = make(
    'table', {},
    make('caption', { class: given.isCaptionUnseen === true ? 'unseen' : null }, given.caption),
    make('thead', {}, make('tr', {}, ...heads)), make('tbody', {}, ...body), foot(given),
  )
  return make('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': given.caption }, inner)
}

function head<Row>(column: Column<Row>, order: Order | null, reorder: ((order: Order | null) => void) | null): HTMLElement {
  const isSorted = order?.column === column.name
  const label = column.sort === undefined || reorder === null
    ? column.name
    : button(column.name, '', () => reorder(pressed(column, order)))
  const about = column.about === undefined ? null : make(
    'a', { class: 'about', href: definitionUrl(column.about), 'aria-label': `Definition of ${column.name}`, title: 'Definition' }, '?',
  )
  return make('th', {
    scope: 'col', class: column.isNumber === true ? 'number' : null,
    'aria-sort': isSorted ? (order.descending ? 'descending' : 'ascending') : null,
  }, label, about)
}

function foot<Row>(given: Table<Row>): HTMLElement | null {
  if (given.foot === undefined) return null
  const cells = given.foot.map((content, place) => {
    const name = given.columns[place]?.isNumber === true ? 'number' : null
    return place === 0 ? make('th', { scope: 'row' }, content) : make('td', { class: name }, content)
  })
  return make('tfoot', {}, make('tr', {}, ...cells))
}

function tools<Row>(given: Table<Row>, more: HTMLElement | null): HTMLElement | null {
  const csv = given.csv === undefined ? null : make('a', { class: 'quiet', href: given.csv, download: true }, 'CSV')
  const pages = given.paging === undefined ? null : paging(given.paging)
  if (csv === null && pages === null && more === null) return null
  return make('div', { class: 'tools unprinted' }, make('div', { class: 'row' }, more, pages), csv)
}

function paging(at: Paging): HTMLElement | null {
  if (at.offset === 0 && at.next === null) return null
  const [first, last] = [at.offset + 1, at.next ?? at.total]
  const previous = button('Previous', 'button small', () => at.go(Math.max(0, at.offset - at.limit)))
  const next = button('Next', 'button small', () => at.go(at.next ?? at.offset))
  previous.disabled = at.offset === 0
  next.disabled = at.next === null
  return make(
    'nav', { class: 'row', 'aria-label': 'Pages' },
    previous, next, make('span', {}, `${number(first)} to ${number(last)} of ${number(at.total)}`),
  )
}
