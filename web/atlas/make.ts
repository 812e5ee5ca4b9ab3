// `node atlas/make.ts` writes what the map takes from packages: generated/atlas.json, which the page fetches, and
// generated/populations.json, which is part of its script.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { allCodes, withCodes } from './countries.ts'
import { populationsOf } from './populations.ts'

const target = new URL('../generated/', import.meta.url)
const of = (name: string) => JSON.parse(readFileSync(createRequire(import.meta.url).resolve(name), 'utf8'))
const write = (name: string, content: unknown): void => writeFileSync(new URL(name, target), JSON.stringify(content))

mkdirSync(target, { recursive: true })
write('atlas.json', withCodes(of('world-atlas/countries-50m.json')))
write('populations.json', populationsOf(of('cldr-core/supplemental/territoryInfo.json'), allCodes()))
