// What the address says.

import { expect, test } from 'vitest'
import { choicesOf } from './choices.ts'

test.each([
  ['', { product: null, playing: true, stop: null }],
  ['product=es', { product: 'es', playing: true, stop: null }],
  ['product=', { product: null, playing: true, stop: null }],
  ['tour=off', { product: null, playing: false, stop: null }],
  ['stop=fr', { product: null, playing: false, stop: 'FR' }],
  ['product=a%3Cb%3E&stop=SG&tour=on', { product: 'a<b>', playing: false, stop: 'SG' }],
])('?%s', (query, choices) => {
  expect(choicesOf(new URLSearchParams(query))).toEqual(choices)
})
