"""The world that calls home: how many people of each country use the internet, and when their day begins.

Source of the figures: The World Factbook (CIA, public domain), the last issue that was published: share of the
population that is online (mostly 2023) times population (2025 estimates), 0 where it tells none. Hours east of UTC
in winter, of where most people live: the IANA time zone database (public domain).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# In millions: countries without a figure, and the smallest, send now and then too.
_LEAST: Final = 0.05


@dataclass(frozen=True, slots=True)
class Country:
    """A country by its ISO 3166-1 alpha-2 code: internet users in millions, and its clock's lead over UTC in hours."""

    code: str
    online: float
    utc_offset_h: float


# code:millions online:hours east of UTC
_TABLE: Final = """
AD:0.081:1 AE:10.094:4 AF:8.905:4.5 AG:0.08:-4 AI:0.016:-4 AL:2.118:1 AM:2.371:4 AO:17.543:1 AR:40.422:-3
AS:0.017:-11 AT:8.716:1 AU:26.666:11 AW:0.121:-4 AX:0:2 AZ:9.518:4 BA:3.032:1 BB:0.243:-4 BD:78.467:6
BE:11.362:1 BF:3.993:0 BG:5.39:2 BH:1.567:3 BI:1.495:2 BJ:4.86:1 BL:0.005:-4 BM:0.071:-4 BN:0.487:8 BO:8.705:-4
BQ:0:-4 BR:185.942:-3 BS:0.395:-5 BT:0.786:6 BW:2.042:2 BY:8.704:3 BZ:0.304:-6 CA:36.836:-5 CC:0:6.5 CD:36.902:1
CF:0.46:1 CG:2.317:1 CH:8.658:1 CI:13.061:0 CK:0.005:-10 CL:18.137:-3 CM:13.238:1 CN:1097.601:8 CO:38.379:-5
CR:4.509:-6 CU:7.142:-5 CV:0.452:-1 CW:0.104:-4 CX:0.001:7 CY:1.212:2 CZ:9.321:1 DE:78.972:1 DJ:0.659:3
DK:6.051:1 DM:0.063:-4 DO:9.264:-4 DZ:36.756:1 EC:14.229:-5 EE:1.247:2 EG:82.395:2 EH:0:1 ER:1.283:3 ES:44.916:1
ET:20.633:3 FI:5.217:2 FJ:0.752:12 FK:0.003:-3 FM:0.041:10 FO:0.052:0 FR:59.606:1 GA:1.81:1 GB:66.001:0
GD:0.085:-4 GE:4.019:4 GF:0:-3 GG:0.059:0 GH:24.735:0 GI:0.028:1 GL:0.04:-2 GM:1.161:0 GN:3.881:0 GP:0:-4
GQ:1.078:1 GR:8.861:2 GS:0:-2 GT:10.223:-6 GU:0.137:10 GW:0.704:0 GY:0.651:-4 HK:7.013:8 HN:5.527:-6 HR:3.379:1
HT:4.641:-5 HU:9.067:1 ID:195.675:7 IE:5.076:0 IL:8.18:2 IM:0:0 IN:794.817:5.5 IO:0:6 IQ:35.193:3 IR:71.342:3.5
IS:0.364:0 IT:53.005:1 JE:0.043:0 JM:2.439:-5 JO:10.521:3 JP:107.186:9 KE:19.513:3 KG:5.536:6 KH:10.511:7
KI:0.103:12 KM:0.328:3 KN:0.042:-4 KP:0:9 KR:49.942:9 KW:3.173:3 KY:0.054:-5 KZ:19.002:5 LA:5.09:7 LB:4.506:2
LC:0.125:-4 LI:0.039:1 LK:11.246:5.5 LR:1.335:0 LS:1.067:2 LT:2.506:2 LU:0.665:1 LV:1.737:2 LY:6.552:2
MA:34.023:1 MC:0.032:1 MD:2.863:2 ME:0.54:1 MF:0.016:-4 MG:6.269:3 MH:0.054:12 MK:1.86:1 ML:7.922:0 MM:34.18:6.5
MN:2.724:8 MO:0.574:8 MP:0.013:10 MQ:0:-4 MR:1.925:0 MS:0.003:-4 MT:0.48:1 MU:1.049:4 MV:0.331:5 MW:3.917:2
MX:105.899:-6 MY:34.207:8 MZ:6.841:2 NA:1.826:2 NC:0.252:11 NE:6.284:1 NF:0.001:12 NG:95.294:1 NI:3.909:-6
NL:17.299:1 NO:5.455:1 NP:17.547:5.75 NR:0.008:12 NU:0.001:-11 NZ:4.955:13 OM:3.771:4 PA:3.538:-5 PE:26.215:-5
PF:0.223:-10 PG:2.466:10 PH:99.353:8 PK:69.403:5 PL:33.322:1 PM:0.004:-3 PN:0.002:-8 PR:2.597:-4 PS:2.88:2
PT:8.767:0 PW:0.006:9 PY:5.931:-3 QA:2.568:3 RE:0:4 RO:16.152:2 RS:5.654:1 RU:128.924:3 RW:4.632:2 SA:36.544:3
SB:0.318:11 SC:0.085:4 SD:13.121:2 SE:10.218:1 SG:5.716:8 SH:0.003:0 SI:1.888:1 SJ:0:1 SK:5.007:1 SL:1.96:0
SM:0.031:1 SN:11.497:0 SO:5.691:3 SR:0.51:-3 SS:1.143:2 ST:0.139:0 SV:4.308:-6 SX:0.042:-4 SY:8.492:3 SZ:0.66:2
TC:0.057:-5 TD:2.558:1 TF:0:5 TG:3.383:0 TH:63.023:7 TJ:6.039:5 TK:0.001:13 TL:0.478:9 TM:1.206:5 TN:8.613:1
TO:0.062:13 TR:73.624:3 TT:1.199:-4 TV:0.009:12 TW:21.241:8 TZ:20.052:3 UA:29.243:2 UG:7.63:3 UM:0:-11
US:314.355:-6 UY:3.104:-3 UZ:32.943:5 VA:0.001:1 VC:0.076:-4 VE:19.688:-4 VG:0.031:-4 VI:0.066:-4 VN:83.217:7
VU:0.146:11 WF:0.007:12 WS:0.122:13 XK:1.76:1 YE:4.831:3 YT:0:3 ZA:46.428:2 ZM:7.267:2 ZW:6.64:2
"""


def countries() -> list[Country]:
    """Every country and territory of the table."""
    return [
        Country(code, max(_LEAST, float(online)), float(offset))
        for code, online, offset in (entry.split(":") for entry in _TABLE.split())
    ]
