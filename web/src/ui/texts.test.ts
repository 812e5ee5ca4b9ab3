// The words in each language.

import { expect, test } from 'vitest'
import { fill, TEXTS, type Text, wordsOf } from './texts.ts'

const braces = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort()

test.each(Object.keys(TEXTS))('%s has each text, with the same in braces', (language) => {
  const [english, other] = [TEXTS['en'], TEXTS[language]] as [Record<Text, string>, Record<Text, string>]
  expect(Object.keys(other)).toEqual(Object.keys(english))
  for (const text of Object.keys(english) as Text[]) {
    expect(other[text].trim()).not.toBe('')
    expect(braces(other[text]), text).toEqual(braces(english[text]))
  }
})

test.each([[['fr-CA', 'en'], 'fr'], [['ja', 'de-AT'], 'de'], [['ja'], 'en'], [['constructor'], 'en'], [[], 'en']])('%j is read in %s', (languages, words) => {
  expect(wordsOf(languages)).toBe(words)
})

test('what is filled in is text, braces and all', () => {
  expect(fill('de', 'noSuch', { product: '{product}$&' })).toBe('Kein Produkt „{product}$&“')
})
