// The colours of a theme, in the hue of the product that is shown.

import type { Theme } from '../choices.ts'
import { hex, rgbOf } from './oklch.ts'

export interface Palette {
  readonly sea: string
  readonly grid: string
  readonly land: string
  readonly border: string
  /** Where a guest is told no number. */
  readonly few: string
  /** Around the country that the tour is at. */
  readonly highlight: string
  /** Of text and marks of the product, on a panel. */
  readonly accent: string
  readonly panel: string
  readonly classes: readonly string[]
  /** Of pulses, as `red, green, blue`, and of the ring below them. */
  readonly pulse: string
  readonly pulseEdge: string
}

/** Of all products together. */
export const USUAL_HUE = 240
// As far from one another as people tell apart on a wall; ten products have different ones.
const HUES = [240, 150, 55, 310, 195, 85, 280, 25, 120, 345]
// Lightness changes evenly from class to class, so the order is read without seeing the hue; the hue turns a little with it.
const CHROMA: Readonly<Record<Theme, readonly number[]>> = {
  dark: [0.085, 0.105, 0.12, 0.13, 0.125, 0.09],
  light: [0.06, 0.1, 0.14, 0.16, 0.15, 0.11],
}
const TURN = 7

/**
 * The hue of each product, by its key. It is its own as long as no product before it in the order of keys has the same:
 * the later of two takes the next that is free.
 */
export function huesOf(keys: Iterable<string>): Map<string, number> {
  const taken = new Map<number, string>()
  const hues = new Map<string, number>()
  for (const key of [...keys].sort()) {
    let place = hash(key) % HUES.length
    for (let tries = 0; taken.has(place) && tries < HUES.length; tries += 1) place = (place + 1) % HUES.length
    taken.set(place, key)
    hues.set(key, HUES[place] ?? USUAL_HUE)
  }
  return hues
}

/** The colours of a theme and hue. */
export function paletteOf(theme: Theme, hue: number): Palette {
  const ramp = (from: number, to: number): string[] =>
    CHROMA[theme].map((chroma, place, all) => hex(from + ((to - from) * place) / (all.length - 1), chroma, hue + TURN * (place - 2.5)))
  if (theme === 'dark') {
    const pulse = hex(0.97, 0.05, hue)
    return {
      sea: '#0a111e', grid: 'rgba(120, 150, 200, 0.08)', land: '#1c2638', border: '#0a111e', few: hex(0.34, 0.045, hue),
      highlight: '#ffffff', accent: hex(0.83, 0.12, hue), panel: '#0e1726', classes: ramp(0.42, 0.92),
      pulse: rgbOf(pulse).join(', '), pulseEdge: '5, 10, 20',
    }
  }
  const pulse = hex(0.35, 0.13, hue)
  return {
    sea: '#dfe7f0', grid: 'rgba(70, 95, 130, 0.10)', land: '#f6f8fb', border: '#b9c6d6', few: hex(0.94, 0.02, hue),
    highlight: '#0b1626', accent: hex(0.45, 0.13, hue), panel: '#ffffff', classes: ramp(0.9, 0.4),
    pulse: rgbOf(pulse).join(', '), pulseEdge: '255, 255, 255',
  }
}

/** A number from a text (FNV-1a), the same everywhere. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0
  return value
}
