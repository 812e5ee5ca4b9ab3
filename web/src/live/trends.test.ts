// What is asked of the statistics API, and how often.

import { expect, test } from 'vitest'
import { Trends } from './trends.ts'

const SERIES = { total: [1, null, 3] }
const ROWS = { rows: [{ value: '2.0', build: 'b7', installs: 5 }, { value: '1.0', installs: 2 }] }

function asking(answer: (path: string) => unknown = (path) => (path.includes('/series?') ? SERIES : ROWS)) {
  const paths: string[] = []
  let arrived = 0
  const trends = new Trends(async (path) => (paths.push(path), answer(path)), () => (arrived += 1))
  const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve))
  return { trends, paths, settled, arrived: () => arrived }
}

test('it asks once, tells when it is there, and asks again after a while, showing the old until then', async () => {
  const { trends, paths, settled, arrived } = asking()
  expect([trends.of('es', 'FR', 'installs', 0), trends.of('es', 'FR', 'installs', 1)]).toEqual([null, null])
  expect(paths).toEqual([
    'api/v1/statistics/es/series?country=FR&measure=installs&window=week',
    'api/v1/statistics/es/breakdown?country=FR&by=version&window=month&limit=3',
  ])
  await settled()
  const trend = { window: 'week', days: SERIES.total, versions: [{ version: '2.0', build: 'b7', installs: 5 }, { version: '1.0', build: '', installs: 2 }] }
  expect([arrived(), trends.of('es', 'FR', 'installs', 2), paths.length]).toEqual([1, trend, 2])
  expect([trends.of('es', 'FR', 'installs', 1e6), paths.length]).toEqual([trend, 4])
})

test('keys are part of the path, whatever is in them', () => {
  const { trends, paths } = asking()
  trends.of('a/../b?c', 'F&R', 'users', 0)
  expect(paths[0]).toBe('api/v1/statistics/a%2F..%2Fb%3Fc/series?country=F%26R&measure=users&window=week')
})

test('launches are counted by day', () => {
  const { trends, paths } = asking()
  trends.of('es', 'FR', 'launches', 0)
  expect(paths[0]).toContain('measure=launches&window=day')
})

test('where nothing is to be had, it is quiet, and asks again after a minute', async () => {
  const { trends, paths, settled, arrived } = asking(() => {
    throw new Error('503')
  })
  for (let ms = 0; ms < 5; ms += 1) {
    trends.of('es', 'FR', 'installs', ms)
    await settled()
  }
  expect([paths.length, arrived()]).toEqual([2, 0])
  trends.of('es', 'FR', 'installs', 60_001)
  expect(paths).toHaveLength(4)
})

test('what is not counted yet is asked for again after a minute', async () => {
  const { trends, paths, settled } = asking((path) => (path.includes('/series?') ? { total: [0, 0] } : { rows: [] }))
  trends.of('es', 'FR', 'installs', 0)
  await settled()
  trends.of('es', 'FR', 'installs', 59_999)
  expect(paths).toHaveLength(2)
  trends.of('es', 'FR', 'installs', 60_000)
  expect(paths).toHaveLength(4)
})

test('it keeps a bounded number: the oldest is asked for again', () => {
  const { trends, paths } = asking()
  for (let place = 0; place < 201; place += 1) trends.of('es', String(place), 'installs', 0)
  trends.of('es', '200', 'installs', 1)
  expect(paths).toHaveLength(402)
  trends.of('es', '0', 'installs', 1)
  expect(paths).toHaveLength(404)
})
