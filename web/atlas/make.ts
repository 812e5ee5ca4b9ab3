// `node atlas/make.ts` writes generated/atlas.json, which the page fetches.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { withCodes } from './countries.ts'

const file = createRequire(import.meta.url).resolve('world-atlas/countries-50m.json')
const target = new URL('../generated/', import.meta.url)
mkdirSync(target, { recursive: true })
writeFileSync(new URL('atlas.json', target), JSON.stringify(withCodes(JSON.parse(readFileSync(file, 'utf8')))))
