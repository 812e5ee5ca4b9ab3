// What the page says of its numbers.

import { expect, test } from 'vitest'
import { type State, stateOf } from './status.ts'

test.each<[boolean, number, boolean, State]>([
  [false, 0, false, 'connecting'],
  [true, 0, false, 'connecting'],
  [true, 0, true, 'live'],
  [true, 2, true, 'live'],
  [true, 20, true, 'stale'],
  [false, 0, true, 'stale'],
])('connected %s, behind by %d s, numbers %s: %s', (connected, staleS, hasNumbers, state) => {
  expect(stateOf(connected, staleS, hasNumbers)).toBe(state)
})
