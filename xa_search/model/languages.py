"""Languages as NLLB calls them. In: nothing. Out: its name for a language code, which begins with ISO 639's letters."""

_PAIRS = (
    "af=afr_Latn am=amh_Ethi ar=arb_Arab az=azj_Latn bg=bul_Cyrl bn=ben_Beng ca=cat_Latn cs=ces_Latn cy=cym_Latn "
    "da=dan_Latn de=deu_Latn el=ell_Grek en=eng_Latn es=spa_Latn et=est_Latn eu=eus_Latn fa=pes_Arab fi=fin_Latn "
    "fr=fra_Latn ga=gle_Latn gl=glg_Latn gu=guj_Gujr he=heb_Hebr hi=hin_Deva hr=hrv_Latn hu=hun_Latn hy=hye_Armn "
    "id=ind_Latn is=isl_Latn it=ita_Latn ja=jpn_Jpan jv=jav_Latn ka=kat_Geor kk=kaz_Cyrl km=khm_Khmr kn=kan_Knda "
    "ko=kor_Hang lt=lit_Latn lv=lvs_Latn mk=mkd_Cyrl ml=mal_Mlym mn=khk_Cyrl mr=mar_Deva ms=zsm_Latn my=mya_Mymr "
    "nb=nob_Latn ne=npi_Deva nl=nld_Latn no=nob_Latn pa=pan_Guru pl=pol_Latn pt=por_Latn ro=ron_Latn ru=rus_Cyrl "
    "sk=slk_Latn sl=slv_Latn so=som_Latn sq=als_Latn sr=srp_Cyrl sv=swe_Latn sw=swh_Latn ta=tam_Taml te=tel_Telu "
    "th=tha_Thai tl=tgl_Latn tr=tur_Latn uk=ukr_Cyrl ur=urd_Arab uz=uzn_Latn vi=vie_Latn yo=yor_Latn zh=zho_Hans "
    "zh-TW=zho_Hant zu=zul_Latn"
)
NLLB_CODES = dict(pair.split("=") for pair in _PAIRS.split())
