#!/usr/bin/env python
# -*- coding: utf-8 -*-
from   conversation_compat   import   Conversation   ,   Interaction   as   Turn
x=Conversation( ) ;x . add_interaction( "a?" , 'b' , [ ] )
if x :
	print( Turn )   
	


