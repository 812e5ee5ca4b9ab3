// What numbers and names look like.

import { expect, test } from 'vitest'
import { languagesOf, percent, rate } from './words.ts'

test.each([[0, '0%'], [0.0001, '< 0.1%'], [0.0105, '1.1%'], [1, '100%']])('the share %d is %s', (share, text) => {
  expect(percent(share)).toBe(text)
})

test.each([[0.01234, '0.0123'], [4.5678, '4.57'], [99.94, '99.9'], [1234.5, '1,235']])('the rate %d is %s', (value, text) => {
  expect(rate(value)).toBe(text)
})

test.each([['', ['de', 'en']], ['?lang=fr', ['fr', 'de', 'en']], ['?lang=pt_br!', ['de', 'en']], ['?lang=', ['de', 'en']]])('%j', (query, languages) => {
  expect(languagesOf(query, ['de', 'en'])).toEqual(languages)
})
