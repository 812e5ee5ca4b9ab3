// Inhabitants of countries.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { allCodes } from './countries.ts'
import { populationsOf } from './populations.ts'

const source = createRequire(import.meta.url).resolve('cldr-core/supplemental/territoryInfo.json')
const populations = populationsOf(JSON.parse(readFileSync(source, 'utf8')), allCodes())

test('every country with a shape of people has inhabitants', () => {
  const missing = allCodes().filter((code) => populations[code] === undefined)
  expect(missing.filter((code) => !['AQ', 'BV', 'GS', 'HM', 'IO', 'TF', 'UM', 'SJ'].includes(code))).toEqual([])
})

test.each([['FR', 60e6, 80e6], ['XK', 1e6, 3e6], ['IN', 1.3e9, 1.7e9], ['IS', 3e5, 6e5]])('%s', (code, least, most) => {
  expect(populations[code]).toBeGreaterThan(least)
  expect(populations[code]).toBeLessThan(most)
})

test('what CLDR does not have is left out', () => {
  expect(populationsOf({ supplemental: { territoryInfo: { FR: { _population: '7' }, BV: { _population: '0' }, XX: {} } } }, ['FR', 'BV', 'XX', 'DE'])).toEqual({ FR: 7 })
})
