#!/usr/bin/env python
# -*- coding: utf-8 -*-
from   conversation_compat   import   Interaction   as   Turn
from ragtime.services.conversation import Conversation
x=Conversation( ) ;x . add_exchange( "a?" , 'b' , document_ids=[ ] )
if x :
	print( Turn )   
	


