// What the address says.

import { expect, test } from 'vitest'
import { type Choices, choicesOf, queryOf } from './choices.ts'
import { USUAL } from './measure.ts'

const BASE: Choices = { product: null, playing: true, stop: null, measure: USUAL, theme: null, kiosk: false }

test.each<[string, Partial<Choices>]>([
  ['', {}],
  ['product=es', { product: 'es' }],
  ['product=', {}],
  ['tour=off', { playing: false }],
  ['stop=fr', { playing: false, stop: 'FR' }],
  ['product=a%3Cb%3E&stop=SG&tour=on', { product: 'a<b>', playing: false, stop: 'SG' }],
  ['measure=users&window=today&per=million', { measure: { what: 'users', span: 'today', perMillion: true } }],
  ['measure=cats&window=ever&per=dozen', {}],
  ['theme=light&kiosk', { theme: 'light', kiosk: true }],
  ['theme=pink&kiosk=off', {}],
])('?%s', (query, choices) => {
  expect(choicesOf(new URLSearchParams(query))).toEqual({ ...BASE, ...choices })
})

test.each([
  ['', BASE, ''],
  ['kiosk&lang=fr&stop=FR', { ...BASE, kiosk: true }, 'kiosk&lang=fr'],
  ['tour=off', { ...BASE, product: 'es', stop: 'FR', playing: false }, 'product=es&stop=FR'],
  ['lang=de', { ...BASE, playing: false, theme: 'dark' as const }, 'lang=de&tour=off&theme=dark'],
  ['', { ...BASE, measure: { what: 'launches', span: 'today', perMillion: true } as const }, 'measure=launches&window=today&per=million'],
])('from ?%s', (before, choices, query) => {
  expect(queryOf(choices, new URLSearchParams(before))).toBe(query)
  expect(choicesOf(new URLSearchParams(query))).toEqual(choices)
})
