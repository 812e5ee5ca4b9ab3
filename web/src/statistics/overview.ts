// The overview: all products at a glance.

import './statistics.css'
import { onAddress, query, setParams } from '../shell/address.ts'
import { csvUrl, get, type Params } from '../shell/api.ts'
import { defined } from '../shell/definitions.ts'
import { byId, type Content, make } from '../shell/dom.ts'
import { moment, percent, range, text } from '../shell/format.ts'
import { startPage } from '../shell/page.ts'
import { empty, fill, loading } from '../shell/states.ts'
import { type Column, orderOf, orderText, table } from '../shell/table.ts'
import { spark } from './charts/spark.ts'
import { alone, compared, hasBefore, summed } from './compared.ts'
import type { Overview, ProductRow } from './model.ts'
import { picker } from './picker.ts'
import { daysOf, spanOf } from './scope.ts'

interface Found { readonly overview: Overview; readonly days: Params }

const head = make('div', { class: 'head' })
const place = make('section', { class: 'card', 'aria-label': 'Products' })

async function lastDay(): Promise<string> {
  return (await get<Overview>('statistics')).to
}

function showHead(overview: Overview | null): void {
  const days = overview === null ? null : hasBefore(overview.first_day, overview.from)
    ? `${range(overview.from, overview.to)}, compared with as many days before` : range(overview.from, overview.to)
  const words = make('div', {}, make('h1', {}, 'Overview'), make('p', { class: 'note', id: 'days' }, days ?? '\u00a0'))
  head.replaceChildren(words, picker(spanOf(query()), overview))
}

async function load(signal: AbortSignal): Promise<Found> {
  const days = await daysOf(spanOf(query()), lastDay)
  return { overview: await get<Overview>('statistics', days, signal), days }
}

const link = (row: ProductRow): string => `/products/${encodeURIComponent(row.key)}`

function columns(isCompared: boolean): readonly Column<ProductRow>[] {
  const count = (name: string, about: string, of: (row: ProductRow) => ProductRow['launches']): Column<ProductRow> => ({
    name, about, isNumber: true, sort: (row) => of(row).now, cell: (row) => compared(isCompared ? of(row) : alone(of(row))),
  })
  return [
    { name: 'Product', sort: (row) => row.name, cell: productCell },
    count('Installs, day', 'active-installs', (row) => row.installs.day),
    count('7 days', 'active-installs', (row) => row.installs.week),
    count('30 days', 'active-installs', (row) => row.installs.month),
    count('Users, 30 days', 'users', (row) => row.users.month),
    count('Launches', 'launches', (row) => row.launches),
    { name: 'Each day', cell: (row) => spark(row.trend, `Active installs of ${row.name}, day by day`) },
    { name: 'Latest version', about: 'release', sort: (row) => row.latest_share, cell: latestCell },
  ]
}

function productCell(row: ProductRow): Content {
  const map = make('a', { href: `/map?product=${encodeURIComponent(row.key)}`, class: 'note' }, 'Map', make('span', { class: 'unseen' }, ` of ${row.name}`))
  return make('span', { class: 'product' }, make('a', { href: `${link(row)}${location.search}` }, row.name), map)
}

function latestCell(row: ProductRow): Content {
  if (row.latest === null) return make('span', { class: 'note' }, 'none')
  return make('span', { class: 'compared' }, make('span', {}, text(row.latest)), make('span', { class: 'note' }, percent(row.latest_share), ' of installs'))
}

function show({ overview, days }: Found): Content[] {
  showHead(overview)
  const rows = overview.products
  if (rows.length === 0) {
    return [empty('There is no product yet', make('p', {}, 'Register one on the server, and pings of it are counted:'), make('code', {}, 'callhome product add KEY "NAME"'))]
  }
  const isCompared = hasBefore(overview.first_day, overview.from)
  const isQuiet = rows.every((row) => row.installs.month.now === 0 && !row.trend.some((count) => count))
  const quiet = isQuiet ? empty('No pings were counted in these days', make('p', {}, 'Choose other days, or send a first ping:'), make('code', {}, 'callhome ping')) : null
  const shown = table({
    caption: 'Products, with the most installs first', isCaptionUnseen: true, columns: columns(isCompared), rows,
    order: orderOf(query().get('sort')), onOrder: (order) => setParams({ sort: orderText(order) }),
    csv: csvUrl('statistics', days), foot: foot(rows, isCompared),
  })
  return [quiet, shown, counted(overview)]
}

function foot(rows: readonly ProductRow[], isCompared: boolean): Content[] {
  const sums = [
    ...(['day', 'week', 'month'] as const).map((window) => summed(rows.map((row) => row.installs[window]))),
    summed(rows.map((row) => row.users.month)), summed(rows.map((row) => row.launches)),
  ]
  const days = rows[0]?.trend.length ?? 0
  const trend = Array.from({ length: days }, (_, day) => summed(rows.map((row) => ({ now: row.trend[day] ?? null, before: null }))).now)
  return ['All products', ...sums.map((sum) => compared(isCompared ? sum : alone(sum))), spark(trend, 'Active installs of all products, day by day'), '']
}

function counted(overview: Overview): Content {
  if (overview.counted_at === null) return null
  return make('p', { class: 'note' }, `Counted ${moment(overview.counted_at)}. All numbers are exact and of `, defined('verified', 'unverified'), ' installs. Days are UTC.')
}

function refresh(): void {
  showHead(null)
  void fill(place, () => loading(2, 3, 3, 3), load, show)
}

byId('main').append(head, place)
void startPage('/')
onAddress(refresh)
refresh()
