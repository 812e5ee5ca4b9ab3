// Views of boxes, and the way between them.

import { expect, test } from 'vitest'
import { type Box, holds, width } from './box.ts'
import { Camera, frameOf, viewOf } from './camera.ts'

const FRANCE: Box = { left: 480, top: 120, right: 510, bottom: 150 }
const SINGAPORE: Box = { left: 760, top: 250, right: 760.2, bottom: 250.1 }

test.each([0.5, 1, 2.4])('a view holds its box on a screen %d times as wide as high', (aspect) => {
  for (const box of [FRANCE, { ...FRANCE, right: 700 }, { ...FRANCE, bottom: 400 }]) {
    expect(holds(frameOf(viewOf(box, aspect), aspect), box)).toBe(true)
  }
})

test('a tiny country is seen in its surroundings', () => {
  expect(width(frameOf(viewOf(SINGAPORE, 1.5), 1.5))).toBeGreaterThan(20)
})

test('a flight begins where the camera is, rises on the way, ends at its aim, and then is over', () => {
  const [from, to] = [viewOf(FRANCE, 1), viewOf(SINGAPORE, 1)]
  const camera = new Camera(from)
  camera.fly(to, 1_000)
  camera.tick(1_000)
  expect(camera.view.x).toBeCloseTo(from.x)
  const widths = [...Array(40).keys()].map((step) => (camera.tick(1_000 + step * 100), camera.view.width))
  expect(Math.max(...widths)).toBeGreaterThan(2 * Math.max(from.width, to.width))
  expect([camera.moving, camera.tick(5_001)]).toEqual([false, false])
  const { x, y, width: wide } = camera.view
  expect([x, y, wide]).toEqual([to.x, to.y, to.width].map((value) => expect.closeTo(value, 6)))
})

test('a frame stamped before the flight began does not fly backwards, and a jump ends a flight', () => {
  const [from, to] = [viewOf(FRANCE, 1), viewOf(SINGAPORE, 1)]
  const camera = new Camera(from)
  camera.fly(to, 1_000)
  camera.tick(990)
  expect(camera.view.x).toBeCloseTo(from.x)
  camera.jump(to)
  expect([camera.moving, camera.view]).toEqual([false, to])
})

test('a flight to where it is already has no number that is none', () => {
  const camera = new Camera(viewOf(FRANCE, 1))
  camera.fly(viewOf(FRANCE, 1), 0)
  camera.tick(500)
  expect(Object.values(camera.view).every(Number.isFinite)).toBe(true)
})
