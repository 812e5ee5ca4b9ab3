import { startPage } from '../shell/page.ts'
void startPage('/')
