//! Word lists for synthetic people and places. Names of regions, provinces and communes are real, their distribution
//! is made up; names of people are common ones with the spellings that registries mix.

/// A name in Arabic script and its Latin spellings; where there are two Arabic spellings, both.
pub(super) struct Name {
    pub arabic: &'static [&'static str],
    pub latin: &'static [&'static str],
}

const fn name(arabic: &'static [&'static str], latin: &'static [&'static str]) -> Name {
    Name { arabic, latin }
}

pub(super) const MEN: [Name; 16] = [
    name(&["محمد", "محمّد"], &["Mohamed", "Mohammed", "Muhammad"]),
    name(&["أحمد", "احمد"], &["Ahmed", "Ahmad"]),
    name(&["يوسف"], &["Youssef", "Yousef", "Yusuf"]),
    name(&["عبد الله", "عبدالله"], &["Abdellah", "Abdallah", "Abdullah"]),
    name(&["عبد الرحمان", "عبد الرحمن"], &["Abderrahmane", "Abdurrahman"]),
    name(&["حسن", "الحسن"], &["Hassan", "Hasan", "El Hassan"]),
    name(&["الحسين", "حسين"], &["Lhoussaine", "El Houssine", "Hussein"]),
    name(&["رشيد"], &["Rachid", "Rashid"]),
    name(&["سعيد"], &["Said", "Saïd", "Saeed"]),
    name(&["مصطفى", "مصطفي"], &["Mustapha", "Mostafa", "Moustafa"]),
    name(&["إبراهيم", "ابراهيم"], &["Brahim", "Ibrahim"]),
    name(&["خالد"], &["Khalid", "Khaled"]),
    name(&["عمر"], &["Omar", "Omer"]),
    name(&["إدريس", "ادريس"], &["Driss", "Idriss"]),
    name(&["هشام"], &["Hicham", "Hisham"]),
    name(&["كريم"], &["Karim", "Kareem"]),
];

pub(super) const WOMEN: [Name; 14] = [
    name(&["فاطمة", "فاطمه"], &["Fatima", "Fatma", "Fatema"]),
    name(&["خديجة", "خديجه"], &["Khadija", "Khadidja"]),
    name(&["عائشة", "عايشة"], &["Aicha", "Aïcha", "Aisha"]),
    name(&["مريم"], &["Maryam", "Meryem", "Mariam"]),
    name(&["زينب"], &["Zineb", "Zaynab", "Zainab"]),
    name(&["نعيمة", "نعيمه"], &["Naima", "Naïma"]),
    name(&["حفيظة"], &["Hafida", "Hafidha"]),
    name(&["السعدية", "سعدية"], &["Saadia", "Essaadia"]),
    name(&["لطيفة"], &["Latifa", "Lateefa"]),
    name(&["رقية"], &["Rkia", "Rokaya", "Ruqayya"]),
    name(&["حليمة"], &["Halima", "Haleema"]),
    name(&["سميرة"], &["Samira", "Sameera"]),
    name(&["أمينة", "امينة"], &["Amina", "Ameena"]),
    name(&["نجاة"], &["Najat", "Najate"]),
];

pub(super) const FAMILIES: [Name; 20] = [
    name(&["العلوي"], &["Alaoui", "El Alaoui", "Al Alawi"]),
    name(&["الإدريسي", "الادريسي"], &["Idrissi", "El Idrissi"]),
    name(&["بنعلي", "بن علي"], &["Benali", "Ben Ali"]),
    name(&["أمزيان", "امزيان"], &["Ameziane", "Amezian"]),
    name(&["الفاسي"], &["El Fassi", "Fassi"]),
    name(&["التازي"], &["Tazi", "Et-Tazi"]),
    name(&["بوزيد", "أبو زيد"], &["Bouzid", "Abouzid"]),
    name(&["العمراني"], &["El Amrani", "Amrani"]),
    name(&["الشرقاوي"], &["Cherkaoui", "Charkawi"]),
    name(&["بناني"], &["Bennani", "Benani"]),
    name(&["أوحسين"], &["Ouhssaine", "Ouhoussine"]),
    name(&["أيت علي", "ايت علي"], &["Ait Ali", "Aït Ali"]),
    name(&["الزهراوي"], &["Zahraoui", "Ez-Zahraoui"]),
    name(&["المنصوري"], &["Mansouri", "El Mansouri"]),
    name(&["حجي"], &["Hajji", "Haji"]),
    name(&["الطاهري"], &["Tahiri", "Et-Tahiri"]),
    name(&["بوعزة"], &["Bouazza", "Bouaza"]),
    name(&["الراجي"], &["Raji", "Er-Raji"]),
    name(&["الخطيب"], &["El Khatib", "Lkhatib"]),
    name(&["برادة"], &["Berrada", "Berada"]),
];

/// A region: its weight in thousandths, and provinces with communes.
pub(super) struct Region {
    pub name: &'static str,
    pub weight: u16,
    pub provinces: &'static [(&'static str, &'static [&'static str])],
}

pub(super) const REGIONS: [Region; 12] = [
    Region {
        name: "Tanger-Tétouan-Al Hoceïma",
        weight: 107,
        provinces: &[
            ("Tanger-Assilah", &["Tanger", "Assilah", "Gueznaia"]),
            ("Tétouan", &["Tétouan", "Oued Laou", "Azla"]),
            ("Chefchaouen", &["Chefchaouen", "Bab Taza", "Bab Berred"]),
            ("Al Hoceïma", &["Al Hoceïma", "Imzouren", "Targuist"]),
        ],
    },
    Region {
        name: "Oriental",
        weight: 70,
        provinces: &[
            ("Oujda-Angad", &["Oujda", "Bni Drar", "Ahl Angad"]),
            ("Nador", &["Nador", "Zeghanghane", "Selouane"]),
            ("Berkane", &["Berkane", "Ahfir", "Saïdia"]),
            ("Figuig", &["Figuig", "Bouarfa", "Tendrara"]),
        ],
    },
    Region {
        name: "Fès-Meknès",
        weight: 133,
        provinces: &[
            ("Fès", &["Fès", "Oulad Tayeb", "Sidi Harazem"]),
            ("Meknès", &["Meknès", "Toulal", "Moulay Driss Zerhoun"]),
            ("Taza", &["Taza", "Tahla", "Oued Amlil"]),
            ("Taounate", &["Taounate", "Ghafsai", "Karia Ba Mohamed"]),
        ],
    },
    Region {
        name: "Rabat-Salé-Kénitra",
        weight: 127,
        provinces: &[
            ("Rabat", &["Rabat", "Touarga"]),
            ("Salé", &["Salé", "Bouknadel", "Shoul"]),
            ("Kénitra", &["Kénitra", "Souk El Arbaa", "Mehdia"]),
            ("Khémisset", &["Khémisset", "Tiflet", "Rommani"]),
        ],
    },
    Region {
        name: "Béni Mellal-Khénifra",
        weight: 84,
        provinces: &[
            ("Béni Mellal", &["Béni Mellal", "Kasba Tadla", "El Ksiba"]),
            ("Azilal", &["Azilal", "Demnate", "Afourar"]),
            ("Khénifra", &["Khénifra", "M'rirt", "Aguelmous"]),
            ("Khouribga", &["Khouribga", "Oued Zem", "Boujniba"]),
        ],
    },
    Region {
        name: "Casablanca-Settat",
        weight: 166,
        provinces: &[
            ("Casablanca", &["Casablanca", "Mechouar"]),
            ("Mohammedia", &["Mohammedia", "Aïn Harrouda", "Beni Yakhlef"]),
            ("El Jadida", &["El Jadida", "Azemmour", "Moulay Abdallah"]),
            ("Settat", &["Settat", "Ben Ahmed", "El Borouj"]),
        ],
    },
    Region {
        name: "Marrakech-Safi",
        weight: 149,
        provinces: &[
            ("Marrakech", &["Marrakech", "Tassoultante", "Ouahat Sidi Brahim"]),
            ("Safi", &["Safi", "Sebt Gzoula", "Jamaat Shaim"]),
            ("Essaouira", &["Essaouira", "Tamanar", "Ounagha"]),
            ("El Kelâa des Sraghna", &["El Kelâa des Sraghna", "Tamallalt", "Laattaouia"]),
        ],
    },
    Region {
        name: "Drâa-Tafilalet",
        weight: 59,
        provinces: &[
            ("Errachidia", &["Errachidia", "Erfoud", "Goulmima"]),
            ("Ouarzazate", &["Ouarzazate", "Taznakht", "Skoura"]),
            ("Zagora", &["Zagora", "Agdz", "Tagounite"]),
            ("Tinghir", &["Tinghir", "Boumalne Dadès", "Kelaat M'Gouna"]),
        ],
    },
    Region {
        name: "Souss-Massa",
        weight: 77,
        provinces: &[
            ("Agadir Ida-Ou-Tanane", &["Agadir", "Drargua", "Taghazout"]),
            ("Taroudannt", &["Taroudannt", "Oulad Teima", "Taliouine"]),
            ("Tiznit", &["Tiznit", "Tafraout", "Aglou"]),
            ("Tata", &["Tata", "Akka", "Foum Zguid"]),
        ],
    },
    Region {
        name: "Guelmim-Oued Noun",
        weight: 13,
        provinces: &[("Guelmim", &["Guelmim", "Bouizakarne"]), ("Sidi Ifni", &["Sidi Ifni", "Lakhsas"])],
    },
    Region {
        name: "Laâyoune-Sakia El Hamra",
        weight: 10,
        provinces: &[("Laâyoune", &["Laâyoune", "El Marsa"]), ("Es-Semara", &["Es-Semara", "Haouza"])],
    },
    Region {
        name: "Dakhla-Oued Ed-Dahab",
        weight: 5,
        provinces: &[("Oued Ed-Dahab", &["Dakhla", "El Argoub"]), ("Aousserd", &["Bir Gandouz"])],
    },
];

/// Bank codes and their cumulative shares in thousandths.
pub(super) const BANKS: [&str; 14] =
    ["101", "127", "145", "157", "190", "350", "007", "011", "225", "022", "021", "230", "013", "310"];
pub(super) const BANK_SHARES: [u16; 14] =
    [90, 170, 240, 310, 360, 540, 690, 780, 880, 910, 935, 965, 990, 1000];

/// Payment institutions: bank code (synthetic) and provider code.
pub(super) const INSTITUTIONS: [(&str, &str); 8] = [
    ("801", "wafacash"),
    ("802", "cashplus"),
    ("803", "baridcash"),
    ("804", "damanecash"),
    ("805", "chaabicash"),
    ("806", "filahicash"),
    ("807", "m2t"),
    ("808", "naps"),
];
pub(super) const INSTITUTION_SHARES: [u16; 8] = [280, 520, 680, 780, 870, 930, 970, 1000];
