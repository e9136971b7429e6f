"""What people do with studies: run, confirm, export, retrain, report. The command line is a thin user of it."""
