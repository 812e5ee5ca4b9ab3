// The colours of charts: seen on their ground, and told apart by those who see fewer.

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { colourAt, REST, resolved, SERIES } from './colours.ts'

type Rgb = readonly number[]

const TOKENS = readFileSync(new URL('../../shell/tokens.css', import.meta.url), 'utf8')
// How colours are seen without one kind of cones (Machado, Oliveira, Fernandes 2009, severity 1), in linear light.
const SIGHTS: Readonly<Record<string, readonly Rgb[]>> = {
  full: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protanopia: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deuteranopia: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  tritanopia: [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}

/** A token's colour in linear light. */
function token(name: string, theme: 'light' | 'dark'): Rgb {
  const found = new RegExp(`${name}: light-dark\\((#[0-9a-f]{6}), (#[0-9a-f]{6})\\)`).exec(TOKENS)
  const hex = found?.[theme === 'light' ? 1 : 2]
  if (hex === undefined) throw new Error(`no token ${name}`)
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
}

const dot = (one: Rgb, other: Rgb): number => one.reduce((sum, part, at) => sum + part * (other[at] ?? 0), 0)
const luminance = (colour: Rgb): number => dot(colour, [0.2126, 0.7152, 0.0722])

function contrast(one: Rgb, other: Rgb): number {
  const [dark, bright] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number]
  return (bright + 0.05) / (dark + 0.05)
}

function oklab(colour: Rgb): Rgb {
  const lms = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566], [0.0883024619, 0.2817188376, 0.6299787005]]
  const roots = lms.map((row) => Math.cbrt(dot(row, colour)))
  return [[0.2104542553, 0.793617785, -0.0040720468], [1.9779984951, -2.428592205, 0.4505937099], [0.0259040371, 0.7827717662, -0.808675766]].map((row) => dot(row, roots))
}

const seen = (colour: Rgb, sight: readonly Rgb[]): Rgb => oklab(sight.map((row) => Math.min(1, Math.max(0, dot(row, colour)))))
const NAMES = [...SERIES, REST].map((colour) => colour.slice(4, -1))

for (const theme of ['light', 'dark'] as const) {
  test(`in the ${theme} theme each colour has a contrast of 3 to its ground, and texts of 4.5`, () => {
    const ground = token('--card', theme)
    for (const name of NAMES) expect(contrast(token(name, theme), ground), name).toBeGreaterThanOrEqual(3)
    for (const name of ['--ink', '--soft', '--accent', '--good', '--bad']) {
      for (const on of ['--card', '--paper', '--tint']) expect(contrast(token(name, theme), token(on, theme)), `${name} on ${on}`).toBeGreaterThanOrEqual(4.5)
    }
  })

  test.each(Object.entries(SIGHTS))(`in the ${theme} theme no two look the same with %s sight`, (_, sight) => {
    NAMES.forEach((one, at) => {
      for (const other of NAMES.slice(at + 1)) {
        const [a, b] = [seen(token(one, theme), sight), seen(token(other, theme), sight)]
        expect(Math.hypot(...a.map((part, place) => part - (b[place] ?? 0))), `${one} ${other}`).toBeGreaterThan(0.09)
      }
    })
  })
}

test('values beyond the last colour share that of the rest', () => {
  expect([colourAt(0), colourAt(7), colourAt(-1)]).toEqual([SERIES[0], REST, REST])
})

test('names of tokens become colours, each asked for once', () => {
  const asked: string[] = []
  const found = resolved('a="var(--x)" b="var(--y)" c="var(--x)"', (name) => `${asked.push(name)}`)
  expect([found, asked]).toEqual(['a="1" b="2" c="1"', ['--x', '--y']])
})
