// What numbers look like.

import { expect, test } from 'vitest'
import { percent } from './words.ts'

test.each([[0, '0%'], [0.0001, '< 0.1%'], [0.0105, '1.1%'], [1, '100%']])('the share %d is %s', (share, text) => {
  expect(percent(share)).toBe(text)
})
