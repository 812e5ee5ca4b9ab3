// Puts docs/definitions.md into definitions.html, with the anchors of its headings kept.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Marked, type Tokens } from 'marked'
import type { Plugin } from 'vite'

const SOURCE = fileURLToPath(new URL('../../docs/definitions.md', import.meta.url))
const PLACE = '<!-- definitions -->'

/** Have vite put the text where the page has a comment for it. */
export function definitions(): Plugin {
  return {
    name: 'definitions',
    transformIndexHtml: {
      order: 'pre',
      handler: (page) => page.replace(PLACE, () => htmlOf(readFileSync(SOURCE, 'utf8'))),
    },
  }
}

/** The HTML of Markdown. Links to other documents, which a console doesn't have, are their text alone. */
export function htmlOf(markdown: string): string {
  const seen = new Map<string, number>()
  const marked = new Marked({ gfm: true })
  marked.use({
    renderer: {
      heading({ tokens, depth, text }: Tokens.Heading): string {
        return `<h${depth} id="${anchor(text, seen)}">${this.parser.parseInline(tokens)}</h${depth}>\n`
      },
      link({ href, tokens }: Tokens.Link): string {
        const text = this.parser.parseInline(tokens)
        return href.startsWith('#') ? `<a href="${href}">${text}</a>` : text
      },
      // A wide block can be scrolled, by keyboard too.
      code({ text }: Tokens.Code): string {
        return `<pre tabindex="0"><code>${escaped(text)}</code></pre>\n`
      },
      html: ({ text }: Tokens.HTML | Tokens.Tag): string => escaped(text),
    },
  })
  const html = marked.parse(markdown, { async: false })
  return html.replaceAll('<table>', '<div class="scroll" tabindex="0" role="region" aria-label="Index"><table>').replaceAll('</table>', '</table></div>')
}

/** The anchor of a heading, as GitHub makes it. */
export function anchor(heading: string, seen: Map<string, number>): string {
  const slug = heading.trim().toLowerCase().replaceAll(/[^\p{L}\p{N}_\- ]/gu, '').replaceAll(' ', '-')
  const times = seen.get(slug) ?? 0
  seen.set(slug, times + 1)
  return times === 0 ? slug : `${slug}-${times}`
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
