Geolife trajectory
WGS 84
Altitude is in Feet
Reserved 3
0,2,255,My Track,0,0,2121,0
0
39.91,116.39,0,492,39744.1,2008-02-02,13:30:01
39.92,116.39,0,492,39744.1,2008-02-02,13:30:11
