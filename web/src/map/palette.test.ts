// Colours of themes and products.

import { describe, expect, test } from 'vitest'
import type { Theme } from '../choices.ts'
import { contrast, hex } from './oklch.ts'
import { huesOf, paletteOf } from './palette.ts'

const THEMES: readonly Theme[] = ['dark', 'light']
const KEYS = ['es', 'cs', 'studio', 'server', 'db', 'a', 'b', 'c', 'd', 'e']
// The text and quiet text of map.css.
const TEXTS: Readonly<Record<Theme, readonly string[]>> = { dark: ['#eef3fb', '#a3b3cb'], light: ['#0f1b2d', '#4a5b73'] }

test('known colours come out, and what no screen shows loses chroma only', () => {
  expect([hex(1, 0, 0), hex(0, 0, 0), hex(0.62796, 0.25768, 29.234)]).toEqual(['#ffffff', '#000000', '#ff0000'])
  expect(hex(0.5, 0.4, 150)).toMatch(/^#[0-9a-f]{6}$/)
  expect(contrast('#ffffff', '#000000')).toBeCloseTo(21)
})

test('ten products have ten hues, whatever order they come in, and one that comes late changes no other', () => {
  const hues = huesOf(KEYS)
  expect(new Set(hues.values()).size).toBe(10)
  expect(huesOf([...KEYS].reverse())).toEqual(hues)
  const early = huesOf(['es', 'studio'])
  expect(['es', 'studio'].map((key) => huesOf(['es', 'studio', 'zz']).get(key))).toEqual([early.get('es'), early.get('studio')])
  expect(huesOf([...KEYS, 'f', 'g']).size).toBe(12)
})

describe.each(THEMES)('%s', (theme) => {
  test.each([...huesOf(KEYS).values()])('in hue %i, text is read (AA) and marks are told from what is around them', (hue) => {
    const { accent, panel, highlight, sea, classes, land } = paletteOf(theme, hue)
    for (const text of [accent, ...TEXTS[theme]]) expect(contrast(text, panel)).toBeGreaterThan(4.5)
    expect(contrast(highlight, sea)).toBeGreaterThan(3)
    const steps = [land, ...classes].map((colour) => contrast(colour, theme === 'dark' ? '#000000' : '#ffffff'))
    expect(steps).toEqual([...steps].sort((a, b) => a - b))
    expect(new Set(classes).size).toBe(classes.length)
  })
})
