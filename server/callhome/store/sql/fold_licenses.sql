-- Whether licenses are registered, and concurrent ones among them.
SELECT EXISTS (SELECT FROM license), EXISTS (SELECT FROM license WHERE use = 'concurrent')
