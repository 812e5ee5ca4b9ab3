// When and where to connect.

import { expect, test } from 'vitest'
import { liveUrl, pauseMs } from './socket.ts'

test.each([[0, 200], [1, 400], [4, 3_200], [5, 5_000], [5_000, 5_000]])('try %i waits less than %i ms', (tries, most) => {
  expect([pauseMs(tries, 0), pauseMs(tries, 0.5)]).toEqual([0, most / 2])
})

test.each([
  ['http://127.0.0.1:8081/map?product=es#x', 'ws://127.0.0.1:8081/live'],
  ['https://wall.example.com/map', 'wss://wall.example.com/live'],
  ['https://example.com/callhome/map', 'wss://example.com/callhome/live'],
])('from %s to %s', (page, live) => {
  expect(liveUrl(page)).toBe(live)
})
