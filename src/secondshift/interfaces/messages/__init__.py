"""Every sentence a person reads, in English and in Korean, from one catalogue."""
