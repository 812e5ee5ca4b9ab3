// Names and numbers in the viewer's language: that of the address (?lang=fr), else the browser's.

import { fill, type Text, wordsOf } from './texts.ts'

/** The languages that are wanted, the first most; what is no language is left out. */
export function languagesOf(query: string, browser: readonly string[]): string[] {
  const asked = new URLSearchParams(query).get('lang')
  try {
    return [...(asked ? Intl.getCanonicalLocales(asked) : []), ...browser]
  } catch {
    return [...browser]
  }
}

const languages = languagesOf(globalThis.location?.search ?? '', navigator.languages)
/** The language of the page's words. */
export const language = wordsOf(languages)

const numbers = new Intl.NumberFormat(languages)
const rates = new Intl.NumberFormat(languages, { maximumSignificantDigits: 3 })
const compact = new Intl.NumberFormat(languages, { notation: 'compact', maximumFractionDigits: 1 })
const compactRates = new Intl.NumberFormat(languages, { notation: 'compact', maximumSignificantDigits: 2 })
const percents = new Intl.NumberFormat(languages, { style: 'percent', maximumFractionDigits: 1 })
const regions = new Intl.DisplayNames(languages, { type: 'region', fallback: 'code' })

export const say = (text: Text, values: Readonly<Record<string, string>> = {}): string => fill(language, text, values)
export const number = (value: number): string => numbers.format(value)
/** A rate: what is small has more decimals. */
export const rate = (value: number): string => (value >= 100 ? numbers.format(Math.round(value)) : rates.format(value))
export const short = (value: number): string => compact.format(value)
export const shortRate = (value: number): string => compactRates.format(value)
/** A share in percent; what is there but rounds to nothing is less than the least. */
export const percent = (share: number): string => (share > 0 && share < 0.0005 ? `< ${percents.format(0.001)}` : percents.format(share))
export const time = (date: Date): string => date.toLocaleTimeString(languages)

/** The name of a country; pings of unknown origin have ZZ. */
export function countryName(code: string): string {
  if (code === 'ZZ') return say('unknown')
  try {
    return regions.of(code) ?? code
  } catch {
    return code
  }
}
