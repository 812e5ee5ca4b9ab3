// Markdown of the definitions as a page.

import { expect, test } from 'vitest'
import { anchor, htmlOf } from './definitions.ts'

test('headings keep their anchors', () => {
  expect(htmlOf('### New, returned and lost\n')).toContain('<h3 id="new-returned-and-lost">New, returned and lost</h3>')
})

test('a heading that comes twice has two anchors', () => {
  const seen = new Map<string, number>()
  expect([anchor('Country', seen), anchor('Country', seen)]).toEqual(['country', 'country-1'])
})

test('links within stay, links to other documents are text', () => {
  expect(htmlOf('[a](#share) [b](operating.md#x) [c](https://example.org)')).toBe('<p><a href="#share">a</a> b c</p>\n')
})

test('nothing is HTML that isn’t written as Markdown', () => {
  expect(htmlOf('<script>1</script>\n')).not.toContain('<script>')
  expect(htmlOf('    a < b && c\n')).toContain('a &lt; b &amp;&amp; c')
})
