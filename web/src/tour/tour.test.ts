// The clock of the tour.

import { expect, test } from 'vitest'
import { stopsOf } from './stops.ts'
import { Tour } from './tour.ts'

const STOPS = stopsOf(new Map([['es', ['DE']]]))

test('it stays a while at each stop, and longer at a country than before the world', () => {
  const tour = new Tour()
  const stay = (): number => {
    let ms = 0
    while (!tour.isDue(ms)) ms += 100
    return ms
  }
  tour.go(STOPS, 1, 0)
  const world = stay()
  tour.go(STOPS, 1, 0)
  expect(world).toBeGreaterThan(3_000)
  expect(stay()).toBeGreaterThan(world)
})

test('paused it is never due, and played again not at once', () => {
  const tour = new Tour()
  tour.go(STOPS, 1, 0)
  tour.play(false, 10)
  expect(tour.isDue(1e9)).toBe(false)
  tour.play(true, 1e9)
  expect([tour.isDue(1e9), tour.isDue(1e9 + 60_000)]).toEqual([false, true])
})

test('where it goes on to is where it then goes', () => {
  const tour = new Tour()
  tour.go(STOPS, 1, 0)
  const ahead = tour.peek(STOPS)
  tour.go(STOPS, 1, 0)
  expect([tour.stop, ahead]).toEqual([STOPS[1], STOPS[1]])
})
