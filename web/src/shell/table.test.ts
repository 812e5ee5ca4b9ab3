// How tables sort.

import { expect, test } from 'vitest'
import { type Column, orderOf, orderText, pressed, sorted } from './table.ts'

interface Row { readonly name: string; readonly count: number | null }
const columns: readonly Column<Row>[] = [
  { name: 'Version', cell: (row) => row.name, sort: (row) => row.name },
  { name: 'Installs', cell: (row) => String(row.count), sort: (row) => row.count, isNumber: true },
  { name: 'Bare', cell: (row) => row.name },
]
const rows: readonly Row[] = [{ name: '10.0', count: 3 }, { name: '9.1', count: null }, { name: '9.0', count: 20 }]
const names = (column: string, descending: boolean): string[] => sorted(rows, columns, { column, descending }).map((row) => row.name)

test('numbers go by size, and what is unknown comes last either way', () => {
  expect([names('Installs', true), names('Installs', false)]).toEqual([['9.0', '10.0', '9.1'], ['10.0', '9.0', '9.1']])
})

test('numbers within texts go by size', () => {
  expect(names('Version', false)).toEqual(['9.0', '9.1', '10.0'])
})

test('without an order, or by a column that can’t be sorted, rows stay as the server has them', () => {
  expect(sorted(rows, columns, null)).toBe(rows)
  expect(names('Bare', true)).toEqual(['10.0', '9.1', '9.0'])
})

test('the first press shows most numbers first, texts from a on; the second turns it; the third takes it away', () => {
  const [texts, numbers] = [columns[0], columns[1]] as [Column<Row>, Column<Row>]
  const press = (column: Column<Row>, times: number): string | null => {
    let order = null as ReturnType<typeof pressed>
    for (let time = 0; time < times; time++) order = pressed(column as Column<unknown>, order)
    return orderText(order)
  }
  expect([1, 2, 3].map((times) => press(numbers, times))).toEqual(['-Installs', 'Installs', null])
  expect([1, 2, 3].map((times) => press(texts, times))).toEqual(['Version', '-Version', null])
})

test.each(['-Installs', 'Version'])('an order is the same after the address (%s)', (said) => {
  expect(orderText(orderOf(said))).toBe(said)
})
