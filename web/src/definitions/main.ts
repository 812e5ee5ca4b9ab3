// The definitions of all numbers; their text was put into the page when it was built.

import './definitions.css'
import { startPage } from '../shell/page.ts'

void startPage('/definitions')
