// How the plane lies on the screen.

import { expect, test } from 'vitest'
import { lieOf, seen } from './stage.ts'

const FREE = { left: 300, top: 20, right: 1_300, bottom: 820 }

test('the middle of the view is in the middle of the free part, and its width fills it', () => {
  const lie = lieOf({ x: 500, y: 200, width: 100 }, FREE)
  expect(lie.scale).toBe(10)
  expect([500 * lie.scale + lie.left, 200 * lie.scale + lie.top]).toEqual([800, 420])
})

test('what is seen reaches behind the panels, to the edges of the screen', () => {
  const lie = lieOf({ x: 500, y: 200, width: 100 }, FREE)
  expect(seen(lie, 1_600, 900)).toEqual({ left: 420, right: 580, top: 158, bottom: 248 })
})
