"""Pages for people: self-contained HTML without scripts from elsewhere. Text from lakes and models is escaped here."""
