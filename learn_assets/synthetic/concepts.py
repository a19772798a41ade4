"""Clinical concepts: what a synthetic patient can have, how it is coded, and what it does to risk.

What belongs here: the planted truth about concepts, as data. Codes are given as prefixes into the
packaged code books, drugs by ingredient (`drugs.py`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Concept:
    """One latent clinical concept.

    `weight` is the change of the log hazard of SLE per log(1 + episodes before the index date);
    0 for a concept that has nothing to do with it. `prevalence` is the share of people who have it
    at average frailty, `episodes` the mean number of further episodes of those who do.
    """

    name: str
    weight: float
    prevalence: float
    episodes: float
    icd10: str
    icd9: str
    icd10_pcs: str
    icd9_pcs: str
    ingredients: str
    hcpcs: str = ""


RISK_CONCEPTS: tuple[Concept, ...] = (
    Concept("joint_pain_and_swelling", 0.35, 0.4, 2.0,
        "M254 M255 M256 M130 M131 M138 M124 M7964 M7967 M659 M658 R262",
        "7190 7194 7195 7169 7165 7295 7274", "BQ0 BP0 0S9C 0S9D 0R9N 0R9P 3E0U",
        "8191 8192 8821 8822 8823 8827 8828 8876",
        "ibuprofen naproxen meloxicam diclofenac indomethacin nabumetone etodolac celecoxib "
        "prednisone sulindac", "J1030 J3301 L1830 L3908"),
    Concept("photosensitive_rash", 0.38, 0.32, 1.6,
        "L56 L530 L531 L538 L539 R21 L508 L509 L590 L598 L985 L304 L951 R238",
        "6927 6951 6958 6959 7821 7088 7089 6929 7098 7099",
        "0HB0XZX 0HB1XZX 0HB4XZX 0HB5XZX 0HB6XZX 0HBBXZX 0HBCXZX 0HBDXZX 0HBEXZX 0HBHXZX 6A6",
        "8611 8619 9982 9983 863",
        "triamcinolone clobetasol hydrocortisone desonide fluocinonide tacrolimus "
        "betamethasone mometasone"),
    Concept("raynaud_and_acral_ischemia", 0.38, 0.22, 1.4,
        "I730 I738 I739 R230 R231 R202 R203 R208 R209 T691 I771 I998 L9849",
        "4430 4438 4439 7825 7826 7820 9915 4471", "B30H B30J B34H B34J B34K B54D 4A03",
        "8848 8849 8877 8959 393", "nifedipine felodipine pentoxifylline sildenafil nitroglycerin"),
    Concept("dry_eyes_and_mouth", 0.26, 0.25, 1.6,
        "H0412 H0415 H0419 R682 K117 K112 K118 K119 H1622 H1614 H1612 H1889",
        "3751 5277 5272 5271 5279 3703 3702", "08B0XZX 08N 087X 3E0C 0C9G 0C9H 0CB8",
        "2611 2612 2619 0911 0919 0942",
        "cyclosporine pilocarpine cevimeline carboxymethylcellulose lifitegrast"),
    Concept("low_blood_counts", 0.38, 0.22, 1.8,
        "D690 D692 D693 D694 D695 D696 D701 D702 D708 D709 D7281 D590 D591 D598 D599 D649",
        "2872 2873 2874 2875 2878 2880 2885 2830 2839 2848 2859", "07DQ 07DR 07DS 07DT 3023 6A55",
        "4131 4138 9904 9905 9907 9971 9972",
        "filgrastim eltrombopag ferrous_sulfate folic_acid romiplostim dexamethasone", "J1100"),
    Concept("protein_or_blood_in_urine", 0.42, 0.24, 1.6,
        "R80 R310 R311 R312 R319 N02 N05 N06 N03 N04 R944 N289 R828",
        "7910 5997 5830 5832 5834 5838 5839 5810 5811 5819 5820 5829 5800 5809 5939 7919",
        "BT4 0TB03ZX 0TB13ZX BT2 3E1M", "5523 5524 5529 8771 8773 8775 8779 8875",
        "losartan furosemide enalapril torsemide bumetanide ramipril"),
    Concept("pleurisy_and_pericarditis", 0.38, 0.2, 1.3,
        "R091 J90 J948 J949 J940 I300 I308 I309 I310 I311 I3139 I318 I319 R071 R0781 R0789 "
        "J986", "5110 5118 5119 4209 4230 4231 4238 4239 7865 5194",
        "0W993 0W9B3 0W9D B24B B24C BB4 BW24", "3491 3492 370 372 8872 8744 8741",
        "colchicine ketorolac aspirin prednisone indomethacin", "J1885"),
    Concept("fatigue_fever_and_weight_loss", 0.22, 0.4, 2.0,
        "R5381 R5383 R531 G933 R508 R509 R634 R61 R590 R591 R599 R630 R6883 R6889 R6881",
        "7807 7806 7808 7832 7830 7856 7993 78096 78094", "6A3 GZ1 XW0 BW2",
        "8901 8902 8903 8906 8907 4011",
        "modafinil cyanocobalamin acetaminophen megestrol cholecalciferol", "J3420"),
    Concept("hair_loss", 0.31, 0.2, 1.3,
        "L63 L64 L65 L66 L67", "7040 7048 7049", "0HDS 0HRS 8E0", "8664 8611 8619 8622",
        "minoxidil finasteride spironolactone biotin"),
    Concept("neuropathy_and_cognitive_change", 0.3, 0.25, 1.6,
        "G603 G608 G609 G618 G619 G622 G628 G629 R413 R414 R418 R410 G587 G589 G568 G578",
        "3568 3569 3578 3579 3558 3559 3554 3549 78093 78097", "B030 B020 4A00 4A10 4A01 4A11 F0",
        "8913 8914 8915 8703 8891 9308 9401",
        "gabapentin pregabalin duloxetine amitriptyline nortriptyline topiramate"),
    Concept("mouth_and_nose_ulcers", 0.31, 0.18, 1.3,
        "K120 K121 K1230 K1239 K130 K1370 K1379 K140 K141 K146 K148 K149 J3489 K136",
        "5280 5282 5285 5287 5289 5290 5291 5296 5298 5299 4781",
        "0CB0XZX 0CB1XZX 0CB2XZX 0CB3XZX 0CB4XZX 0CB7XZX 3E0D", "2723 2724 2501 2743 2749 2122",
        "nystatin chlorhexidine lidocaine sucralfate"),
    Concept("venous_thrombosis", 0.3, 0.14, 1.3,
        "I824 I825 I826 I802 I803 I808 I809 I2699 I2693 I828",
        "4534 4538 4539 4511 4518 4519 4151 4512", "B54 06H03 06C 3E03", "387 3893 8866 8877 9910",
        "warfarin enoxaparin apixaban rivaroxaban heparin dabigatran"),
    Concept("autoimmune_thyroid_disease", 0.16, 0.2, 1.8,
        "E060 E061 E062 E063 E065 E069 E032 E038 E039 E050 E051 E059 E041 E042 E049",
        "2440 2448 2449 2450 2452 2458 2459 2420 2410 2411 2419", "BG4 0GBG3ZX 0GBH3ZX 0G9 CG1",
        "0611 0612 0619 8871 9202", "levothyroxine methimazole liothyronine propylthiouracil"),
)  # fmt: skip

NOISE_CONCEPTS: tuple[Concept, ...] = (
    Concept("injury", 0.0, 0.5, 1.4,
        "S01 S20 S42 S52 S61 S62 S82 S83 S92 S93 T14",
        "810 812 813 816 824 825 845 847 882 891 922 924", "0PS 0QS 0HQ 2W3",
        "790 791 793 8659 9354", "hydrocodone tramadol cyclobenzaprine tetanus_toxoid cephalexin",
        "E0114"),
    Concept("back_pain", 0.0, 0.45, 1.4,
        "M541 M542 M543 M544 M545 M546 M549 M478 M480 M512 M519",
        "7241 7242 7243 7244 7245 7231 7213 7210 7225 7226", "BR0 BR2 BR3 3E0R 00NY",
        "8724 8893 0391 0392 8051", "cyclobenzaprine methocarbamol tizanidine baclofen tramadol"),
    Concept("dental", 0.0, 0.25, 1.0,
        "K02 K03 K04 K05 K06 K08", "521 522 523 525", "0CDW 0CDX 0CRW 0CRX 0CQ",
        "2301 2309 2311 232 2341 2419", "amoxicillin clindamycin chlorhexidine penicillin_v"),
    Concept("eye_disease", 0.0, 0.4, 1.4,
        "H251 H258 H259 H401 H402 H521 H522 H524 H43 H353 H000",
        "3661 3651 3652 3659 3671 3672 3674 3625 3792 3731", "08B 08D 08R 085 B80",
        "1341 1351 1370 9501 9502 9505 1424",
        "timolol latanoprost brimonidine dorzolamide ofloxacin"),
    Concept("ear_disease", 0.0, 0.25, 1.0,
        "H60 H61 H65 H66 H72 H81 H90 H91 H93", "3801 3804 3810 3829 3860 3889 3891",
        "099 09B 09H F13", "2001 2009 9541", "ofloxacin meclizine amoxicillin cefdinir"),
    Concept("upper_respiratory_infection", 0.0, 0.55, 1.8,
        "J00 J01 J02 J03 J04 J06 J20 J30 J32 J11", "460 461 462 463 464 465 466 473 477 487",
        "09J 0CJ 3E09 BW03", "8716 8744 2219 9354",
        "azithromycin amoxicillin cetirizine loratadine fluticasone doxycycline benzonatate"),
    Concept("asthma_and_copd", 0.0, 0.22, 1.8,
        "J40 J41 J42 J43 J44 J45", "490 491 492 493 496", "0BJ 3E0F 4A09 5A09",
        "3323 3324 8937 8938 9394 9390", "albuterol montelukast budesonide tiotropium salmeterol",
        "E0601"),
    Concept("hypertension_and_heart", 0.0, 0.4, 2.1,
        "I10 I11 I119 I20 I25 I48 I49 I50 I34", "401 402 413 414 427 428 424",
        "027 02J 4A02 B21 B20", "3722 3723 8855 8952 8944 0066",
        "lisinopril amlodipine metoprolol hydrochlorothiazide atenolol carvedilol digoxin "
        "clopidogrel"),
    Concept("diabetes_and_lipids", 0.0, 0.35, 2.1,
        "E11 E66 E780 E781 E782 E785 R73", "250 2720 2721 2722 2724 2780 7902",
        "0F9 0D16 3E013 BW4", "4438 4439 8876 9917",
        "metformin atorvastatin simvastatin glipizide rosuvastatin insulin_glargine", "A4253"),
    Concept("digestive_complaint", 0.0, 0.45, 1.5,
        "K21 K25 K29 K30 K57 K58 K59 K64 K80 R10 R11",
        "5301 5308 531 535 5368 562 5641 5640 455 574 7870 7890", "0DJ 0DB6 0DBN 0FT4 0DT",
        "4513 4516 4523 4525 4542 5123",
        "omeprazole pantoprazole famotidine ondansetron polyethylene_glycol dicyclomine", "J2405"),
    Concept("urinary_infection_and_bladder", 0.0, 0.3, 1.4,
        "N300 N301 N302 N309 N390 N393 N394 N32 N40", "5950 5951 5959 5990 6256 7883 5968",
        "0TJ 0T9 0TVC 0TB", "5732 5794 5749 5979",
        "nitrofurantoin ciprofloxacin oxybutynin tamsulosin trimethoprim"),
    Concept("pregnancy_and_gynecology", 0.0, 0.3, 1.5,
        "N83 N92 N93 N94 N95 N76 N81 D25 O26 O80 O99 Z34",
        "218 616 618 620 625 626 627 6468 650 V22", "10D 10E 0U9 0UB 0UT 0UJ BU4",
        "6829 6851 6909 7359 741 8878",
        "norethindrone medroxyprogesterone estradiol metronidazole fluconazole oxytocin"),
    Concept("anxiety_and_depression", 0.0, 0.4, 1.8,
        "F32 F33 F40 F41 F43 F51 G47", "296 300 308 309 311 3074 7805", "GZ5 GZ6 GZ3 HZ3",
        "9439 9438 9408 9423", "sertraline escitalopram bupropion trazodone alprazolam fluoxetine"),
    Concept("skin_infection_and_mole", 0.0, 0.35, 1.3,
        "L02 L03 L08 L60 L70 L72 L82 B35 B07 D22", "681 682 686 703 7061 7062 702 110 0781",
        "0H9 0HBT 0HDQ 0HC 0JB", "8604 8622 8626 863 8623",
        "clotrimazole mupirocin cephalexin tretinoin terbinafine sulfamethoxazole"),
    Concept("migraine_and_headache", 0.0, 0.25, 1.4,
        "G430 G431 G437 G440 G442 R51 G444", "346 7840 3078 339", "B02 B03 3E0T", "8703 8891 0481",
        "sumatriptan rizatriptan propranolol topiramate"),
    Concept("checkup_and_vaccination", 0.0, 0.7, 1.8,
        "Z00 Z01 Z13 Z23 Z76 Z71 Z80", "V70 V72 V76 V77 V03 V04 V65 V16", "BH0 3E02 BN0",
        "8737 9952 9955 9959 8952", "influenza_vaccine pneumococcal_vaccine",
        "G0008 G0009 G0438 G0439"),
    # Neighbors of the risk concepts: the same ICD categories, other meanings, no risk.
    Concept("worn_or_loose_joint", 0.0, 0.35, 1.3,
        "M252 M253 M257 M240 M241 M245 M246 M230 M235 M171 M161 M190 M189 M7910 M7918 M21",
        "7180 7181 7183 7184 7198 7151 7153 7291 7292 717 736", "0SB 0SJ 0RJ F07 BQ1",
        "8026 8086 8154 8151 9312", "acetaminophen glucosamine hyaluronate"),
    Concept("stone_or_cyst_of_kidney", 0.0, 0.25, 1.1,
        "N281 N200 N201 N210 R3911 R3912 R3915 N132 N133 R3989 R8271 R823 R350 R351",
        "5920 5921 5931 5932 5937 7889 7884 591 7917 59389", "0TF 0TC BT1 0T7 0T76",
        "5503 5631 9851 598 8774", "tamsulosin allopurinol potassium_citrate phenazopyridine"),
    Concept("iron_loss_and_leukocytosis", 0.0, 0.25, 1.1,
        "D7282 D500 D508 D509 D6489 D720 D7210 D7219 D751 D7581 D65 D688 D739 R718 R7989 R791",
        "2800 2808 2809 2851 2882 2883 2886 2890 2896 28952 79092", "3023 4A05 07B 06B",
        "9903 9904 415 4523", "ferrous_gluconate iron_sucrose vitamin_c"),
    Concept("acne_wart_and_dry_skin", 0.0, 0.3, 1.2,
        "L700 L723 L810 L821 L299 L853 L905 L910 L918 L570 L578 L579 L740 L303 R234",
        "7061 7068 7020 7011 7014 7018 7028 7090 6980 6989", "0H5 0HD 0HBMXZZ 6A6",
        "8603 8624 8625 8605", "benzoyl_peroxide adapalene salicylic_acid ammonium_lactate"),
    Concept("heartburn_chest_and_cough", 0.0, 0.3, 1.1,
        "R072 R0782 R05 R060 R062 R068 J9811 J9801 R000 R001 R002 I3481 I447 I451 R0989",
        "7851 7862 7860 7861 5180 5193 4263 4264 7868", "B21 4A02 4A12 0BJ", "8741 8951 8943 8826",
        "omeprazole guaifenesin benzonatate nitroglycerin"),
    Concept("foot_and_tendon", 0.0, 0.3, 1.3,
        "M201 M204 M214 M722 M751 M754 M766 M770 M771 L84 M67",
        "7261 7263 7267 7270 7276 7278 7287 735 700", "0L8 0LB 0LM 0SG F07",
        "8311 8364 7757 9327 9338", "ibuprofen naproxen lidocaine triamcinolone"),
)  # fmt: skip

CONCEPTS: tuple[Concept, ...] = RISK_CONCEPTS + NOISE_CONCEPTS
