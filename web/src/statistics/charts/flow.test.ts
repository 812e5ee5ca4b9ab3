// Where flows are drawn.

import { expect, test } from 'vitest'
import { laidOut } from './flow.ts'

const ROWS = [{ from: '1', to: '2', installs: 60 }, { from: '1', to: '3', installs: 20 }, { from: '2', to: '3', installs: 20 }]

test('a node is as thick as all that flows through it, and those with the most come first', () => {
  const { left, right } = laidOut(ROWS)
  expect(left.map((node) => [node.name, node.installs])).toEqual([['1', 80], ['2', 20]])
  expect(right.map((node) => [node.name, node.installs])).toEqual([['2', 60], ['3', 40]])
})

test('bands lie within the chart, side by side, without overlap', () => {
  const { bands } = laidOut(ROWS)
  for (const side of ['start', 'end'] as const) {
    const sorted = [...bands].sort((one, other) => one[side] - other[side])
    sorted.forEach((band, place) => expect(band[side] + band.thick).toBeLessThanOrEqual((sorted[place + 1]?.[side] ?? 1) + 1e-9))
  }
})

test('only the largest are drawn', () => {
  const many = Array.from({ length: 40 }, (_, place) => ({ from: `${place}`, to: `${place + 1}`, installs: place + 1 }))
  expect(laidOut(many).bands.map((band) => band.installs)).toEqual([40, 39, 38, 37, 36, 35, 34, 33, 32, 31])
})

test('without flows there is nothing', () => {
  expect(laidOut([])).toEqual({ left: [], right: [], bands: [] })
})
